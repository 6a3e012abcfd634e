"""Stand-in for the command provider 1.2.1 (`python -m toolchain.plugins.command`), for machines that cannot reach the official plugin.

It has `local.Command` and the function `local.run`, with the official semantics: any changed input runs `update`, or `create` again where there is
none; a changed trigger replaces; `delete` runs with the inputs of the state; nothing runs in preview except `local.run`; a create that fails is not
saved. Differences, both on purpose: known secrets are masked in what is shown, and an error does not repeat output that was shown already. Not
supported, and refused by name: `assetPaths` and `archivePaths`, and everything in `command:remote`.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from toolchain.plugins.execution import Executor, Invocation, Outcome, Stream
from toolchain.plugins.masking import MASK, Masker
from toolchain.plugins.provider import Error, Function, Operation, Provider, Resource
from toolchain.plugins.schema import Failure, Field, Kind
from toolchain.plugins.serving import engine_address, serve
from toolchain.plugins.values import UNKNOWN, Properties, Secret, contains_secret, plain, secret_texts

VERSION: Final = "1.2.1"
_SHELL: Final = ("/bin/sh", "-c")
_SHOWN_LINES: Final = 20
_SHOWN_COMMAND: Final = 120
# The engine kills a plugin five seconds after its signal; commands get their signal with Cancel, which comes earlier.
_END_SECONDS: Final = 4.0
_LOGGED: Final = {
    "stdoutAndStderr": (Stream.STDOUT, Stream.STDERR),
    "stdout": (Stream.STDOUT,),
    "stderr": (Stream.STDERR,),
    "none": (),
}
_NO_FILES: Final = "is not supported by the stand-in for the command provider; leave it out, or use the official plugin"
_COMMON: Final = {
    "addPreviousOutputInEnv": Field(kind=Kind.BOOLEAN, default=True),
    "archivePaths": Field(kind=Kind.STRINGS, refused=_NO_FILES),
    "assetPaths": Field(kind=Kind.STRINGS, refused=_NO_FILES),
    "dir": Field(kind=Kind.STRING),
    "environment": Field(kind=Kind.STRING_MAP),
    "interpreter": Field(kind=Kind.STRINGS),
    "logging": Field(kind=Kind.STRING, choices=tuple(_LOGGED)),
    "stdin": Field(kind=Kind.STRING),
}


class Log:
    """The engine's log, shown to the user beside the resource. The connection is made with the first line."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._engine: Any = None

    def info(self, line: str, *, urn: str) -> None:
        """Show one line. An engine that is gone hears nothing, and nobody misses it."""
        if self._engine is None:
            self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address))
        try:
            self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn))
        except grpc.RpcError:
            return


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a failed command leaves behind, and what to do when it failed by itself."""

    kept: str
    remedy: str

    def after(self, outcome: Outcome) -> str:
        """The sentence for the user."""
        return f"{self.kept}: {'run the same again to go on' if outcome.cancelled else self.remedy}."


class Runner:
    """Runs the command in a resource's inputs, or a function's arguments."""

    def __init__(self, *, executor: Executor, log: Log) -> None:
        self._executor = executor
        self._log = log

    def run(self, operation: Operation, *, step: str, command: Any, inputs: Properties, previous: Properties, advice: Advice) -> Properties:
        """Run `command`, the input that `step` names; its stdout and stderr, secret when any input is. Raises Error when it fails."""
        masked = Masker(secret_texts([command, inputs, previous]))
        logged = _LOGGED[plain(inputs.get("logging")) or "stdoutAndStderr"]

        def show(stream: Stream, line: str) -> None:
            if stream in logged:
                self._log.info(masked(line), urn=operation.urn)

        what = f"{step} {_described(command, masked)}"
        try:
            outcome = self._executor.run(_invocation(plain(command), plain(inputs), plain(previous), timeout=operation.timeout), on_line=show)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "an argument or variable holds a NUL character"
            raise Error(
                f"{what} could not be started: {reason}. Check dir and interpreter; if the environment is too big, set addPreviousOutputInEnv false"
            ) from None
        if outcome.exit_code != 0:
            raise Error(f"{what} {_failure(outcome, operation=operation, logged=logged, masked=masked)}\n{advice.after(outcome)}")
        texts = {"stdout": outcome.stdout.removesuffix("\n"), "stderr": outcome.stderr.removesuffix("\n")}
        return {name: Secret(text) for name, text in texts.items()} if contains_secret([command, inputs]) else dict(texts)


class Command(Resource):
    """A command run once, and again when its inputs change."""

    type_name = "command:local:Command"
    fields: ClassVar = {
        **_COMMON,
        "create": Field(kind=Kind.STRING),
        "update": Field(kind=Kind.STRING),
        "delete": Field(kind=Kind.STRING),
        "triggers": Field(kind=Kind.VALUES, replaces=True),
    }

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def check(self, inputs: Properties) -> Iterable[Failure]:
        if plain(inputs.get("interpreter")) == []:
            yield Failure(path="interpreter", reason="must name a program; leave it out for /bin/sh -c")

    def create(self, operation: Operation, inputs: Properties) -> tuple[str, Properties]:
        advice = Advice(kept="Nothing was saved for this resource", remedy="correct the command and update again")
        outputs = self._outputs(operation, step="create", inputs=inputs, previous={"stdout": "", "stderr": ""}, advice=advice)
        return f"{operation.name}{secrets.token_hex(4)}", {**inputs, **outputs}

    def update(self, operation: Operation, *, outputs: Properties, inputs: Properties) -> Properties:
        step = "update" if inputs.get("update") is not None else "create"
        advice = Advice(kept="The state still has the values from before", remedy="correct the command and update again")
        new = self._outputs(operation, step=step, inputs=inputs, previous=_previous(outputs), advice=advice)
        return {**inputs, **new}

    def delete(self, operation: Operation, outputs: Properties) -> None:
        advice = Advice(
            kept="The resource is still in the state, with the delete command it was made with",
            remedy=f"remove the cause and try again, or forget the resource: pulumi state delete '{operation.urn}'",
        )
        self._outputs(operation, step="delete", inputs=outputs, previous=_previous(outputs), advice=advice)

    def _outputs(self, operation: Operation, *, step: str, inputs: Properties, previous: Properties, advice: Advice) -> Properties:
        command = inputs.get(step)
        if command is None:
            return previous
        if operation.preview:
            unknown = Secret(UNKNOWN) if contains_secret(inputs) else UNKNOWN
            return {"stdout": unknown, "stderr": unknown}
        return self._runner.run(operation, step=step, command=command, inputs=inputs, previous=previous, advice=advice)


class Run(Function):
    """A command run by every preview and update."""

    type_name = "command:local:run"
    fields: ClassVar = {**_COMMON, "command": Field(kind=Kind.STRING, required=True)}

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def call(self, operation: Operation, arguments: Properties) -> Properties:
        advice = Advice(kept="It runs in every preview and update", remedy="correct it and run again")
        result = self._runner.run(operation, step="command", command=arguments["command"], inputs=arguments, previous={}, advice=advice)
        return {**arguments, **result}


class CommandProvider(Provider):
    """Ends every command that runs when the engine gives up."""

    def __init__(self, *, engine: str) -> None:
        self.executor = Executor()
        runner = Runner(executor=self.executor, log=Log(engine))
        super().__init__(name="command", version=VERSION, resources=(Command(runner),), functions=(Run(runner),))

    def cancel(self) -> None:
        self.executor.cancel()

    def end(self) -> None:
        """As `cancel`, then wait for them as long as the engine allows; none is left running."""
        self.executor.cancel()
        self.executor.wait(_END_SECONDS)
        self.executor.kill()


def _previous(outputs: Properties) -> Properties:
    return {name: outputs.get(name, "") for name in ("stdout", "stderr")}


def _invocation(command: str, inputs: Properties, previous: Properties, *, timeout: float | None) -> Invocation:
    environment = dict(os.environ)
    if inputs.get("addPreviousOutputInEnv", True):
        environment.update({f"PULUMI_COMMAND_{name.upper()}": text for name, text in previous.items() if text})
    environment.update(inputs.get("environment") or {})
    argv = (*(inputs.get("interpreter") or _SHELL), command)
    return Invocation(argv=argv, environment=environment, directory=inputs.get("dir"), stdin=inputs.get("stdin"), timeout=timeout)


def _described(command: Any, masked: Masker) -> str:
    if contains_secret(command):
        return MASK
    first, *rest = masked(command).strip().splitlines() or [""]
    shortened = rest or len(first) > _SHOWN_COMMAND
    return f"`{first[:_SHOWN_COMMAND]}{' …' if shortened else ''}`"


def _failure(outcome: Outcome, *, operation: Operation, logged: tuple[Stream, ...], masked: Masker) -> str:
    if outcome.cancelled:
        return "was cancelled."
    if outcome.timed_out:
        return f"was ended after customTimeouts allowed it {operation.timeout:g} seconds."
    how = f"failed with exit code {outcome.exit_code}" if outcome.exit_code > 0 else f"was ended by signal {-outcome.exit_code}"
    if Stream.STDERR in logged and outcome.stderr:
        return f"{how}; its output is above."
    if outcome.stderr.strip():
        lines = masked(outcome.stderr).strip().splitlines()[-_SHOWN_LINES:]
        return "\n    ".join([f"{how}:", *lines])
    silent = Stream.STDOUT not in logged and outcome.stdout
    return f"{how} and wrote nothing to stderr{'; its stdout is not shown because of `logging`' if silent else ''}."


def main() -> None:
    """Serve the engine at the address in the arguments."""
    provider = CommandProvider(engine=engine_address(sys.argv[1:]))
    serve(register=lambda server: add_ResourceProviderServicer_to_server(provider, server), at_end=provider.end)


if __name__ == "__main__":
    main()
