"""Stand-in for pulumi-language-python (`python -m toolchain.plugins.language_host`), for machines that cannot reach the official one.

It runs programs, and plugins written in Python (component packages), with the interpreter it runs in itself, which the toolchain has installed
everything into. What would need another environment (the runtime options `virtualenv`, `toolchain` and `typechecker`) is refused; code generation,
linking and packing are not supported.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from toolchain.plugins import packages
from toolchain.plugins.plugin_processes import Exited, PluginProcesses, Printed, Stream
from toolchain.plugins.programs import INTERRUPTED_EXIT_CODE, Ended, Programs
from toolchain.plugins.run_program import REPORTED_EXIT_CODE, execute
from toolchain.plugins.serving import engine_address, serve

_UNSUPPORTED_OPTIONS: Final = ("toolchain", "typechecker")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers the engine. Methods that are not here answer UNIMPLEMENTED, which the engine turns into an error of its own."""

    def __init__(self, *, engine: str, programs: Programs, plugins: PluginProcesses) -> None:
        self._engine = engine
        self._programs = programs
        self._plugins = plugins

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.AboutResponse(executable=sys.executable, version=platform.python_version())

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = packages.pulumi_packages(sys.path)
        return language_pb2.GetRequiredPackagesResponse(
            packages=[plugin_pb2.PackageDependency(name=found.name, kind="resource", version=found.version, server=found.server) for found in found]
        )

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = packages.pulumi_packages(sys.path)
        return language_pb2.GetRequiredPluginsResponse(
            plugins=[plugin_pb2.PluginDependency(name=found.name, kind="resource", version=found.version, server=found.server) for found in found]
        )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = packages.python_packages(transitive=request.transitiveDependencies)
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=package.name, version=package.version) for package in found]
        )

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        if refused := refusal(json_format.MessageToDict(request.info.options), prefix=sys.prefix, root=request.info.root_directory):
            return language_pb2.RunResponse(error=refused)
        entry = Path(request.info.program_directory, request.info.entry_point)
        if not entry.is_file() and not (entry / "__main__.py").is_file():
            return language_pb2.RunResponse(
                error=f"there is no program in {entry}: it needs a file __main__.py, or `main` in Pulumi.yaml must name another"
            )
        request.args.insert(0, self._engine)
        return _run_response(self._programs.run(request.SerializeToString()))

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        directory = Path(request.info.program_directory)
        options = json_format.MessageToDict(request.info.options)
        if refused := plugin_refusal(directory, kind=request.kind) or refusal(options, prefix=sys.prefix, root=request.info.root_directory):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, refused)
        cwd = Path(request.pwd or directory)
        try:
            events = self._plugins.run(directory, arguments=request.args, environment=request.env, cwd=cwd, when_abandoned=context.add_callback)
            yield from map(_plugin_response, events)
        except OSError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the plugin in {directory} cannot be started: {error}")

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._programs.interrupt()
        return empty_pb2.Empty()

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        requirements = Path(request.info.program_directory, "requirements.txt")
        absent = packages.missing(requirements.read_text(encoding="utf-8"), installed=packages.installed_versions()) if requirements.is_file() else []
        if absent:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{requirements} asks for what {sys.executable} does not have: {', '.join(absent)}. Install it with `python3 -m toolchain install`",
            )
        yield language_pb2.InstallDependenciesResponse(stdout=f"Every requirement is installed for {sys.executable}.\n".encode())

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()


def refusal(options: Mapping[str, Any], *, prefix: str, root: str) -> str | None:
    """Why a program with these runtime options cannot be run by the interpreter at `prefix`, or None. A virtualenv that is this very one is fine."""
    for name in _UNSUPPORTED_OPTIONS:
        if options.get(name) not in (None, ""):
            return f"runtime option {name}: {options[name]} is not supported by the stand-in for pulumi-language-python; remove it from Pulumi.yaml"
    virtualenv = options.get("virtualenv")
    if virtualenv and Path(root, virtualenv).resolve() != Path(prefix).resolve():
        return (
            f"runtime option virtualenv: {virtualenv} is not the environment that the stand-in for pulumi-language-python runs in ({prefix}); "
            "remove it from Pulumi.yaml, or use the official language host"
        )
    return None


def plugin_refusal(directory: Path, *, kind: str) -> str | None:
    """Why the plugin in `directory` cannot be run, or None."""
    if kind == "analyzer":
        return "policy packs are not supported by the stand-in for pulumi-language-python; use the official language host"
    if not (directory / "__main__.py").is_file():
        return f"there is no plugin in {directory}: beside PulumiPlugin.yaml it needs a file __main__.py that calls component_provider_host"
    return None


def _plugin_response(event: Printed | Exited) -> Any:
    match event:
        case Printed(stream=Stream.STDOUT, data=data):
            return language_pb2.RunPluginResponse(stdout=data)
        case Printed(data=data):
            return language_pb2.RunPluginResponse(stderr=data)
        case Exited(exit_code=code):
            return language_pb2.RunPluginResponse(exitcode=code)


def _run_response(ended: Ended) -> Any:
    if ended.exit_code == 0:
        return language_pb2.RunResponse()
    if ended.interrupted or ended.exit_code in (REPORTED_EXIT_CODE, INTERRUPTED_EXIT_CODE):
        return language_pb2.RunResponse(bail=True)
    how = f"exited with code {ended.exit_code}" if ended.exit_code > 0 else f"was ended by signal {-ended.exit_code}"
    return language_pb2.RunResponse(error=f"the program {how}")


def main() -> None:
    """Serve the engine at the address in the arguments."""
    for stream in (sys.stdout, sys.stderr):  # a program's output reaches the user line by line; programs are forks of this process
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    programs, plugins = Programs(execute), PluginProcesses()
    host = LanguageHost(engine=engine_address(sys.argv[1:]), programs=programs, plugins=plugins)

    def end() -> None:
        programs.interrupt()
        plugins.stop()

    serve(register=lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server), at_end=end)


if __name__ == "__main__":
    main()
