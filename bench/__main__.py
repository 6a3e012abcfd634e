"""`python -m bench scale | failover | push | up | kind | probe`: the command line. The report goes to standard output, as JSON to a file if told."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from bench.interruption import EXIT_CODES
from bench.report import Report

_CLIENTS = {"delta": "delta", "sotw": "state of the world", "envoy": "Envoy"}
"""How a client is named here, and in the report."""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks; docs/benchmarks.md says what they mean.", allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True)

    scale = commands.add_parser("scale", help="time, bytes, processor and memory by the number of Upstreams", allow_abbrev=False)
    scale.add_argument("--sizes", type=_sizes, default=(10, 100, 1000, 5000), metavar="N,N", help="ascending multiples of ten (10,100,1000,5000)")
    scale.add_argument("--changes", type=_count, default=100, help="changes in each turn of each client (default: %(default)s)")
    scale.add_argument("--envoy-up-to", type=int, default=1000, metavar="N", help="a real Envoy takes part up to here (default: %(default)s)")

    scale.add_argument("--clients", type=_clients, default=tuple(_CLIENTS), metavar="NAME,NAME", help=f"who takes turns ({','.join(_CLIENTS)})")

    failover = commands.add_parser("failover", help="time to the first answer after a failure, against a static Envoy", allow_abbrev=False)
    failover.add_argument("--rate", type=float, default=500, help="requests a second (default: %(default)s)")

    push = commands.add_parser("push", help="the same while a full push runs into the same Envoy, against an idle one", allow_abbrev=False)
    push.add_argument("--rate", type=float, default=500, help="requests a second (default: %(default)s)")
    push.add_argument("--clusters", type=_count, default=1000, help="Upstreams that all change in the push (default: %(default)s)")

    up = commands.add_parser("up", help="pulumi up of the default stack, against a script of kubectl apply", allow_abbrev=False)

    kind = commands.add_parser("kind", help="make up STACK=dev, against two kind clusters and their images alone", allow_abbrev=False)
    kind.add_argument("--node-image", default="", help="of the nodes (default: that of the stack)")
    kind.add_argument("--base-image", default="", help="base of the control plane's image (default: the pinned one)")

    probe = commands.add_parser("probe", help="how late the drill's probe is by itself, at a rate, on one core", allow_abbrev=False)
    probe.add_argument("--rate", type=float, default=2000, help="requests a second (default: %(default)s)")
    probe.add_argument("--seconds", type=float, default=20, help="of each load (default: %(default)s)")

    for command, repeats in ((scale, 3), (failover, 10), (push, 5), (up, 5), (kind, 3), (probe, 3)):
        command.add_argument("--repeats", type=_count, default=repeats, help="how often everything is measured (default: %(default)s)")
        command.add_argument("--json", type=Path, metavar="FILE", help="write the report here too")
    return root


def main(arguments: list[str] | None = None) -> int:
    """Runs one benchmark; 0 when every goal is met, 1 when one is missed, 130 or 143 when a signal ended it."""
    options = parser().parse_args(arguments)
    settings = {"repeats": options.repeats}
    report = Report(bench=options.command, machine=machine(), settings=settings)
    code = 0
    try:
        if options.command == "up":  # without a loop, which would keep the signals to itself
            from bench import up

            up.run(up.Settings(repeats=options.repeats), report)
        else:
            asyncio.run(_run(options, report))
    except KeyboardInterrupt as ended:
        code = EXIT_CODES[type(ended)]
        report.settings["interrupted after"] = ", ".join(f"{len(each.values)} of {each.subject}" for each in report.figures) or "nothing"
    report.machine["load average at the end"] = _load()
    if options.json:
        options.json.write_text(json.dumps(report.to_json(), indent=1) + "\n")
    print(report.to_text())
    return code or (0 if all(goal.met for goal in report.goals) else 1)


async def _run(options: argparse.Namespace, report: Report) -> None:
    """Each benchmark is imported where it is run: `--help` should not load gRPC."""
    match options.command:
        case "scale":
            from bench import scale

            report.settings["changes"] = options.changes
            settings = scale.Settings(
                sizes=options.sizes,
                changes=options.changes,
                repeats=options.repeats,
                envoy_up_to=options.envoy_up_to,
                clients=tuple(_CLIENTS[name] for name in options.clients),
            )
            await scale.run(settings, report)
        case "failover":
            from bench import failover

            report.settings["rate"] = options.rate
            await failover.run(failover.Settings(repeats=options.repeats, rate=options.rate), report)
        case "push":
            from bench import push

            report.settings |= {"rate": options.rate, "clusters": options.clusters}
            await push.run(push.Settings(repeats=options.repeats, rate=options.rate, clusters=options.clusters), report)
        case "probe":
            from bench import probe

            report.settings |= {"rate": options.rate, "seconds": options.seconds}
            await probe.run(probe.Settings(repeats=options.repeats, rate=options.rate, seconds=options.seconds), report)
        case "kind":
            from bench import kind

            await kind.run(kind.Settings(repeats=options.repeats, node_image=options.node_image, base_image=options.base_image), report)


def machine() -> dict[str, Any]:
    """What a reader must know in order to compare: the figures of a busy machine say little."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load average at the start": _load()}


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed: one or more")
    return count


def _clients(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in _CLIENTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not allowed: some of {', '.join(_CLIENTS)}")
    return names


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if list(sizes) != sorted(set(sizes)) or any(size < 10 or size % 10 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text} is not allowed: ascending multiples of ten, such as 10,100")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
