"""`python3 -m toolchain [COMMAND]`: list, install, env, run."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence

import toolchain
from toolchain import cache, listing
from toolchain.install import install


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python3 -m toolchain", description="The tools of the embedded stack: what is there, and how to get the rest.")
    commands = top.add_subparsers(dest="command")
    commands.add_parser("list", help="each tool: version, where from, why (the default)")
    into = f"Says nothing when nothing is missing. Installs into {cache.root()} (${cache.VARIABLE})."
    add = commands.add_parser("install", help="install what is missing", description=into)
    add.add_argument("tools", nargs="*", metavar="TOOL", help="only these (default: all that the embedded stack needs)")
    add.add_argument("--all-for-tests", action="store_true", help="also what only the tests need (Go, Chromium, Prometheus)")
    commands.add_parser("env", help='print the shell exports that put the tools on PATH: eval "$(python3 -m toolchain env)"')
    run = commands.add_parser("run", help="run a command with the tools on PATH: run -- COMMAND ...")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    return top


def run_command(words: Sequence[str]) -> None:
    """Become the command. Errors: ToolMissing when there is no such program."""
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise toolchain.ToolMissing("no command is given: python3 -m toolchain run -- COMMAND ...")
    environment = {**os.environ, **toolchain.environment()}
    program = shutil.which(words[0], path=environment["PATH"])
    if program is None:
        raise toolchain.ToolMissing(f"there is no program {words[0]!r} on PATH, nor among the tools. See which there are: python3 -m toolchain")
    os.execve(program, list(words), environment)  # noqa: S606 -- to become the command the user gives is the purpose


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 with a text that says what to do; 130 when interrupted."""
    arguments = parser().parse_args(argv)
    # A signal that ends an install ends its compilers too, and removes what is half-made.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        match arguments.command:
            case "install":
                install(arguments.tools, all_for_tests=arguments.all_for_tests)
            case "env":
                for name, value in toolchain.environment().items():
                    print(f"export {name}={shlex.quote(value)}")
            case "run":
                run_command(arguments.words)
            case _:
                print(listing.listing())
    except toolchain.ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing half-made is left. Go on with the same command.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
