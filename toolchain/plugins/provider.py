"""The provider protocol over a table of resources and functions, for the stand-ins used where the official plugins cannot be had.

Built on the SDK's gRPC servicer rather than on `pulumi.provider.experimental.Provider`: that one adds this process's traceback to every error the
user sees, and cannot represent a value that is not known yet. A `Resource` sees plain properties and never gRPC; an `Error` it raises reaches the
user once, as it is.
"""

from __future__ import annotations

import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from toolchain.plugins import schema, values
from toolchain.plugins.schema import Change, ChangeKind, Failure, Field
from toolchain.plugins.values import Properties


class Error(Exception):
    """Something the user must know: what happened to what, and what to do. Holds no secret."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What every create, update, delete and call of a function knows. `timeout` is in seconds, None without `customTimeouts`."""

    urn: str
    preview: bool = False
    timeout: float | None = None

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.rsplit("::", maxsplit=1)[-1]


class Resource(ABC):
    """One resource type: its inputs, and what happens in each step of its life."""

    type_name: ClassVar[str]
    fields: ClassVar[Mapping[str, Field]]

    def check(self, inputs: Properties) -> Iterable[Failure]:
        """Rules over several inputs. Called for new or changed inputs that each pass their own rule; values may be UNKNOWN or Secret."""
        return ()

    def diff(self, *, old_inputs: Properties, outputs: Properties, inputs: Properties) -> list[Change]:
        """What differs from the last deployment."""
        return schema.changes(self.fields, old=old_inputs, new=inputs)

    @abstractmethod
    def create(self, operation: Operation, inputs: Properties) -> tuple[str, Properties]:
        """The new resource's id and outputs; in preview, outputs that are not known yet are UNKNOWN and the id is ignored."""

    def read(self, outputs: Properties) -> Properties:
        """The outputs as they are now. Nothing outside the state is consulted unless a resource says so."""
        return outputs

    @abstractmethod
    def update(self, operation: Operation, *, outputs: Properties, inputs: Properties) -> Properties:
        """The outputs after an update in place, or in preview as far as they are known."""

    def delete(self, operation: Operation, outputs: Properties) -> None:
        """Undo what `create` did outside the state."""
        return


class Function(ABC):
    """A function that a program calls; it runs in preview as well."""

    type_name: ClassVar[str]
    fields: ClassVar[Mapping[str, Field]]

    @abstractmethod
    def call(self, operation: Operation, arguments: Properties) -> Properties:
        """The result. Arguments are known and pass their rules."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves `resources` and `functions` under the official plugin's version, so that the engine warns of nothing."""

    def __init__(self, *, name: str, version: str, resources: Iterable[Resource], functions: Iterable[Function] = ()) -> None:
        self._name = name
        self._version = version
        self._resources = {resource.type_name: resource for resource in resources}
        self._functions = {function.type_name: function for function in functions}

    def cancel(self) -> None:
        """Called when the engine gives up, or is done: end what still runs, without waiting for it."""

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.cancel()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = {"version", "pluginDownloadURL"}
        wrong = [name for name, value in values.read(request.news).items() if value is not None and name not in known and not name.startswith("__")]
        reason = f"is not supported by the stand-in for the {self._name} provider; leave it out, or use the official plugin"
        return provider_pb2.CheckResponse(inputs=request.news, failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name in wrong])

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            resource = self._resource(request.urn)
            old, new = values.read(request.olds), schema.with_defaults(resource.fields, values.read(request.news))
            failures = list(schema.failures(resource.fields, new))
            if not failures and values.plain(new) != values.plain(old):
                failures.extend(resource.check(new))
            return provider_pb2.CheckResponse(inputs=values.write(new), failures=[_check_failure(failure) for failure in failures])

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            changes = self._resource(request.urn).diff(
                old_inputs=values.read(request.old_inputs), outputs=values.read(request.olds), inputs=values.read(request.news)
            )
            return _diff_response(change for change in changes if change.path not in request.ignoreChanges)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            operation = Operation(urn=request.urn, preview=request.preview, timeout=request.timeout or None)
            identity, outputs = self._resource(request.urn).create(operation, values.read(request.properties))
            return provider_pb2.CreateResponse(id="" if request.preview else identity, properties=values.write(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            resource = self._resource(request.urn)
            if not request.properties.fields:
                raise Error(f"{resource.type_name} cannot be imported: it exists only in the state; create it instead")
            outputs = resource.read(values.read(request.properties))
            return provider_pb2.ReadResponse(id=request.id, inputs=request.inputs, properties=values.write(outputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            operation = Operation(urn=request.urn, preview=request.preview, timeout=request.timeout or None)
            outputs = self._resource(request.urn).update(operation, outputs=values.read(request.olds), inputs=values.read(request.news))
            return provider_pb2.UpdateResponse(properties=values.write(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            self._resource(request.urn).delete(Operation(urn=request.urn, timeout=request.timeout or None), values.read(request.properties))
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _reported(context, self._name):
            function = self._functions.get(request.tok)
            if function is None:
                raise Error(f"{request.tok} is not in the stand-in for the {self._name} provider; it has {_listed(self._functions)}")
            arguments = schema.with_defaults(function.fields, values.read(request.args))
            failures = list(schema.failures(function.fields, arguments))
            if failures:
                return provider_pb2.InvokeResponse(
                    failures=[provider_pb2.CheckFailure(property=failure.path, reason=failure.detail) for failure in failures]
                )
            result = function.call(Operation(urn="", preview=request.preview), arguments)
            return provider_pb2.InvokeResponse(**{"return": values.write(result)})  # type: ignore[arg-type]  # the name is a keyword

    def _resource(self, urn: str) -> Resource:
        token = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
        resource = self._resources.get(token)
        if resource is None:
            raise Error(
                f"{token} is not in the stand-in for the {self._name} provider; it has {_listed(self._resources)}. The official plugin has the rest"
            )
        return resource


def _check_failure(failure: Failure) -> Any:
    """The engine itself shows the property's whole value, redacted; a place inside it is ours to name."""
    reason = failure.reason if failure.path == failure.name else failure.sentence
    return provider_pb2.CheckFailure(property=failure.name, reason=reason)


def _diff_response(changes: Iterator[Change]) -> Any:
    kinds = {
        (ChangeKind.ADD, False): provider_pb2.PropertyDiff.ADD,
        (ChangeKind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
        (ChangeKind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
        (ChangeKind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
        (ChangeKind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
        (ChangeKind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    }
    found = list(changes)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=[change.path for change in found if change.replaces],
        diffs=[change.path for change in found],
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(kind=kinds[change.kind, change.replaces], inputDiff=change.of_input) for change in found
        },
        hasDetailedDiff=True,
    )


@contextmanager
def _reported(context: grpc.ServicerContext, name: str) -> Iterator[None]:
    """An Error reaches the user as it is. Anything else is a fault of ours: its place is named, but not its text, which may hold a secret."""
    try:
        yield
    except Error as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        context.abort(
            grpc.StatusCode.INTERNAL, f"fault in the stand-in for the {name} provider: {type(error).__name__} at {frame.filename}:{frame.lineno}"
        )


def _listed(tokens: Mapping[str, object]) -> str:
    return ", ".join(sorted(tokens)) or "none"
