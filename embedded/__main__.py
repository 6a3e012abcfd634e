"""Command line of the embedded clusters. Standard output holds only what a command promises; progress and errors go to standard error.

`supervise` and `watch` are started by the other commands, not by people. Modules are imported where they are used: the watcher, which does nothing
but wait, should load next to nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from embedded.errors import EmbeddedError
from embedded.layout import StateDir


def main(arguments: list[str]) -> int:
    """Runs one command; the exit code: 0 done, 1 an error that was told, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    if sys.platform != "linux":
        print(f"Embedded clusters need Linux; this is {sys.platform}. Use the `dev` stack, which runs on Docker: pulumi up -s dev", file=sys.stderr)
        return 1
    match options.command:
        case "supervise":
            from embedded.supervisor import supervise

            return supervise(_state(options))
        case "watch":
            from embedded.watcher import watch

            return watch(_state(options), supervisor=options.supervisor)
    # A caller that ends this command must find nothing half done: SIGTERM is treated like Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(options)
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "stop" | "delete":
            from embedded import removal

            end = removal.stop if options.command == "stop" else removal.delete
            end(_state(options), progress=_progress)
            return 0
    from embedded import launcher
    from embedded.spec import parse_spec
    from embedded.status import describe, registered, status

    match options.command:
        case "start":
            sys.stdout.write(launcher.start(_state(options), parse_spec(sys.stdin.read()), progress=_progress))
        case "ensure":
            print(launcher.ensure(_state(options), progress=_progress))
        case "list":
            for state in registered():
                print(describe(status(state)))
        case "status":
            document = status(_state(options))
            print(json.dumps(document, indent=1) if options.json else describe(document))
            return 0 if document["ready"] else 1
    return 0


def _state(options: argparse.Namespace) -> StateDir:
    return StateDir(Path(os.path.realpath(options.state_dir)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m embedded", description="Kubernetes clusters without containers, for one user of a Linux machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {
        "start": "make a cluster run by the JSON spec on standard input, wait until it is ready, print its kubeconfig",
        "ensure": "bring back a cluster that was made; print absent, running or restored",
        "stop": "end its processes, keep its data",
        "delete": "end its processes, remove its data",
        "status": "say what runs; exit code 0 when the cluster is ready",
        "supervise": argparse.SUPPRESS,
        "watch": argparse.SUPPRESS,
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text) if text != argparse.SUPPRESS else commands.add_parser(name)
        command.add_argument("--state-dir", required=True, help="directory of the cluster")
        if name == "status":
            command.add_argument("--json", action="store_true", help="print JSON")
        if name == "watch":
            command.add_argument("--supervisor", type=int, required=True, help="pid of the supervisor")
    commands.add_parser("list", help="show every cluster of this user")
    return parser


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
