"""`python -m drill`: break a running stack on purpose, measure what clients notice, judge, and show it. docs/drill.md says how to read that."""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import sys
from collections.abc import Sequence

import toolchain
from cli.stack import Stack, Terminated
from cli.workspace import CommandFailed, open_workspace
from drill import guardian, guards
from drill.broken import Broken, heal_all
from drill.compare import compare
from drill.document import DocumentError, Outcome, document, load
from drill.folder import Folder, write_private
from drill.html import page
from drill.listing import listed
from drill.options import HEAL, RUN, parser
from drill.run import Drill, Seen, limit_of, run, wait_until_settled
from drill.scenarios import DEFAULT, SCENARIOS
from drill.summary import text
from drill.target import Target
from drill.view import Progress, View

_PATIENCE = 10.0
"""Seconds in which a stack that was just brought up, or broken by hand, may become healthy before a drill is refused."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: see the epilog of the help."""
    options = parser().parse_args(argv)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _terminate)
    words = [word for word in options.scenarios if word != RUN]
    stack = Stack(name=options.stack, workspace=open_workspace(options.project.resolve()))
    try:
        if options.compare:
            comparison = compare(*map(load, options.compare))
            print(comparison.text)
            return 1 if comparison.regressed else 0
        if options.list:
            print(listed(SCENARIOS, default=DEFAULT, kind=Target.of(stack).kind))
            return 0
        return heal(stack) if words == [HEAL] else drill(stack, words, options)
    except (CommandFailed, DocumentError, toolchain.ToolMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def drill(stack: Stack, names: list[str], options: argparse.Namespace) -> int:
    """Everything from the guards to the report."""
    target, folder = Target.of(stack), Folder.of(stack)
    scenarios = guards.chosen(names, scenarios=SCENARIOS, default=DEFAULT, kind=target.kind) * options.repeat
    with folder.locked() as lock:
        broken = Broken(folder.broken)
        guards.nothing_left_broken(broken, command=_heal_command(stack))
        wrong = wait_until_settled(target, seconds=_PATIENCE)
        despite = guards.overlooked(wrong, despite=options.despite_unhealthy, next_command=stack.command("status"))
        guards.agreed(
            target.kind,
            contexts=[f"{name}: {context}" for name, context in target.contexts.items()],
            titles=list(dict.fromkeys(each.title for each in scenarios)),
            yes=options.yes,
            command=f'{stack.command("drill")} SCENARIO="{" ".join(["--yes", *names])}"',
            stdin=sys.stdin,
        )
        view = View(Progress(total=len(scenarios)))
        seen = run(
            Drill(
                target=target,
                scenarios=scenarios,
                rate=options.rate,
                time_limit=options.time_limit or limit_of(scenarios),
                despite=despite,
                broken=broken,
                guardian=guardian.Guardian(guardian.command(stack), keep=[lock], say=view.say),
                view=view,
            )
        )
    return report(seen, folder, options, heal_command=_heal_command(stack))


def report(seen: Seen, folder: Folder, options: argparse.Namespace, *, heal_command: str) -> int:
    """Judge, print and write what was seen. The exit code."""
    passed = False
    if seen.recordings:
        result = document([Outcome.of(recording) for recording in seen.recordings], ended=seen.ended)
        passed = bool(result["passed"])
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        files = [options.json or folder.report(stamp, "json"), options.html or folder.report(stamp, "html")]
        for file, content in zip(files, (json.dumps(result, indent=1) + "\n", page(result)), strict=True):
            write_private(file, content)
        print(f"\n{text(result)}\n\nReport: {files[1].resolve().as_uri()}\nAs JSON: {files[0].resolve()}")
    if seen.ended:
        left = f"Not healed: {', '.join(seen.left_broken)}. Once more: {heal_command}" if seen.left_broken else "Everything is healed."
        print(f"error: ended early: {seen.ended}. {left}", file=sys.stderr)
        return 130 if seen.interrupted and not seen.left_broken else 2
    return 0 if passed else 1


def heal(stack: Stack) -> int:
    """Heal what former drills have left broken. Exit code 2 when something is left of it."""
    folder = Folder.of(stack)
    target = Target.of(stack)
    with folder.locked():
        broken = Broken(folder.broken)
        if not broken.names():
            print("nothing is left broken by a drill")
        return 0 if heal_all(target, broken, SCENARIOS, say=print) else 2


def _terminate(*_: object) -> None:
    raise Terminated


def _heal_command(stack: Stack) -> str:
    return f"{stack.command('drill')} SCENARIO={HEAL}"


if __name__ == "__main__":
    sys.exit(main())
