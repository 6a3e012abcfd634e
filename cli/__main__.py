"""`python -m cli COMMAND`: the commands behind the Makefile's targets."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import toolchain
from cli import console, kubeconfigs, serving, traffic
from cli.stack import Stack, Terminated
from cli.workspace import PROJECT, CommandFailed, make, open_workspace


def parser() -> argparse.ArgumentParser:
    """The command line. Each command's help is what `make help` shows for it."""
    top = argparse.ArgumentParser(prog="python -m cli", description=__doc__)
    top.add_argument("--stack", default="embedded", help="the Pulumi stack to work on (default: embedded)")
    top.add_argument("--project", type=Path, default=PROJECT, help="directory of the Pulumi project (default: this checkout)")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring the stack up and show the first answer")
    commands.add_parser("down", help="destroy the stack; nothing of it is left")
    commands.add_parser("forget", help="remove the state of a stack whose clusters stay, and nothing in them")
    commands.add_parser("env", help="print the settings that put pulumi, kubectl and the stack into a shell")
    commands.add_parser("status", help="what runs, the failover resources with their state, and who serves")
    for name, text in (("fail", "make an app report itself unhealthy"), ("heal", "make it healthy again")):
        commands.add_parser(name, help=text).add_argument("--color", default="blue", help="which app (default: blue)")
    commands.add_parser("metrics", help="print a configuration for a Prometheus on this machine, and hold its port-forwards open (docs/metrics.md)")
    page = commands.add_parser("console", help="the console: who serves, clusters and events as a page on this machine")
    page.add_argument("--port", type=_port, default=0, help="of 127.0.0.1 (default: a free one)")
    watch = commands.add_parser("watch", help="who answers, live")
    watch.add_argument("--seconds", type=float, help="end after so many seconds (default: when interrupted)")
    return top


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535, nor 0 for a free one")
    return int(text)


def run(arguments: argparse.Namespace, stack: Stack) -> None:
    """Do what the command line asks for."""
    match arguments.command:
        case "up":
            kubeconfigs.write(stack, stack.up(refresh=kubeconfigs.all_answer(stack)))
        case "down":
            stack.down()
        case "forget":
            stack.forget()
        case "env":
            print_environment(stack)
        case "status":
            status(stack)
        case "fail":
            traffic.set_health(stack, color=arguments.color, health=traffic.Health.FAIL)
        case "heal":
            traffic.set_health(stack, color=arguments.color, health=traffic.Health.OK)
        case "metrics":
            # Only here: it needs packages, which may be gone when a stack is to be brought down.
            from cli import scraping

            scraping.serve(stack)
        case "console":
            console.serve(stack, port=arguments.port)
        case "watch":
            traffic.watch(stack.proxy_url(), seconds=arguments.seconds)


def print_environment(stack: Stack) -> None:
    """Print shell exports; what else there is to say goes to stderr, since the output is evaluated."""
    stack.initialise()
    files = kubeconfigs.write(stack, stack.outputs())
    settings = stack.environment() | ({"KUBECONFIG": os.pathsep.join(map(str, files))} if files else {})
    for name, value in (toolchain.environment() | settings).items():
        print(f"export {name}={shlex.quote(value)}")
    if not files:
        print(f"stack {stack.name!r} is not up yet: kubectl has no cluster until you run: pulumi up -s {stack.name}", file=sys.stderr)


def status(stack: Stack) -> None:
    """Print the clusters' parts, the failover resources and who serves, as far as they can be had."""
    for directory in sorted(stack.workspace.clusters(stack.name).glob("*")):
        subprocess.run([sys.executable, "-m", "embedded", "status", "--state-dir", str(directory)], cwd=PROJECT, check=False)
    if stack.has_kind_clusters():
        stack.kind_clusters("list")
    clusters = {
        file.stem: [str(toolchain.find("kubectl")), "--kubeconfig", str(file), "--request-timeout=10s"]
        for file in kubeconfigs.write(stack, stack.outputs())
    }
    for name, kubectl in clusters.items():
        print(f"\n{name}:", flush=True)
        subprocess.run([*kubectl, "get", "upstreams,gateways,virtualservices,pods,services", "-A", "--ignore-not-found"], check=False)
        # Only the management cluster has these kinds.
        subprocess.run([*kubectl, "get", "failoverschemes,glooinstances", "-A", "--ignore-not-found"], check=False, stderr=subprocess.DEVNULL)
    now = datetime.datetime.now(datetime.UTC)
    lines = [line for kubectl in clusters.values() for scheme in serving.schemes(kubectl) for line in serving.described(scheme, now=now)]
    if lines:
        print("\nwho serves:", *lines, sep="\n")


def _terminate(*_: object) -> None:
    raise Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with one line that says what to do, or 130 when interrupted."""
    arguments = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        run(arguments, Stack(name=arguments.stack, workspace=open_workspace(arguments.project.resolve())))
    except (CommandFailed, toolchain.ToolMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if arguments.command in ("up", "down"):
            print(
                f"\ninterrupted. Go on where this stopped: {make(arguments.command, arguments.stack, arguments.project.resolve())}", file=sys.stderr
            )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
