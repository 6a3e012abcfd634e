"""Stands in for Pulumi's engine and records what a program registers: inputs as the engine gets them, and the options that Pulumi's mocks omit.

The options come from the request to the monitor, which the SDK's own mock passes through `RegisterResource`; that is private-ish, so only this file
uses it.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pulumi
from pulumi.output import Unknown
from pulumi.runtime import mocks, rpc
from pulumi.runtime import resource as registration
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.stack import run_pulumi_func

PROJECT, STACK = "service-failover", "test"
KUBECONFIG = """
current-context: embedded-local
clusters: [{name: local, cluster: {server: "https://127.77.0.1:6443", certificate-authority-data: Q0E=}}]
"""


READ_ADDRESS, READ_PORTS = "203.0.113.80", [{"name": "https", "port": 443}, {"name": "http", "port": 8080}]
"""What a Service says that is read and not made."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registered resource."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    """Plain values; an input that is unknown is the string UNKNOWN, and secrets are unwrapped (see `secret_inputs`)."""
    secret_inputs: frozenset[str]
    """Top-level inputs that are secret, or have a secret in them."""
    parent: str
    provider: str
    """URN of the provider, or "" for the default one."""
    deleted_with: str
    depends_on: frozenset[str]
    additional_secret_outputs: tuple[str, ...]
    create_timeout: str
    delete_before_replace: bool

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[1]

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(self.inputs.get("metadata", {}))

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name of the Kubernetes object."""
        return str(self.inputs.get("kind", self.kind)), str(self.metadata.get("name"))


@dataclass
class Recorder(mocks.Mocks):
    """Records a program. `run` it once."""

    preview: bool = False
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What components registered as their outputs, by URN."""
    secret_outputs: dict[str, set[str]] = field(default_factory=dict)
    registrations: list[str] = field(default_factory=list)
    """URNs in the order in which resources, and then outputs, were registered: a component's outputs are last, and once."""
    reads: list[Resource] = field(default_factory=list)
    """Resources that the program reads and does not make; the only input is `id`."""
    exports: dict[str, Any] = field(default_factory=dict)
    secret_exports: set[str] = field(default_factory=set)
    invokes: list[mocks.MockCallArgs] = field(default_factory=list)
    failed: ClassVar[bool] = False
    """Whether some program has failed. What it leaves complains, with tracebacks, when it is collected: see `collect`."""
    invoke_failure: str = ""
    """Why every invoke fails, as a provider reports it; "": none does."""

    def run(self, program: Callable[[], object], *, config: Mapping[str, Any] | None = None, secrets: Collection[str] = ()) -> Recorder:
        """Run `program` to its end, with all that it left to be done. Raises what it raises.

        `config` is the stack's, without the project's name; its keys in `secrets` are stored as secrets.
        """
        pulumi.runtime.settings.reset_options()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        # Where in the program a resource is made is for the engine's messages, and reading it off the stack is a seventh of the whole run.
        with_traces, registration._get_stack_trace = registration._get_stack_trace, source_pb2.StackTrace
        try:
            mocks.set_mocks(self, project=PROJECT, stack=STACK, organization="organization", preview=self.preview, monitor=_Monitor(self))
            pulumi.runtime.set_all_config(
                {f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()},
                [f"{PROJECT}:{key}" for key in secrets],
            )
            loop.run_until_complete(run_pulumi_func(lambda: program() and None))
            loop.run_until_complete(self._read_exports())
        except BaseException:
            Recorder.failed = True
            raise
        finally:
            registration._get_stack_trace = with_traces
            loop.close()
            asyncio.set_event_loop(None)
        return self

    @classmethod
    def collect(cls) -> None:
        """Collect what a failed program has left, now that nothing refers to it, and not in the middle of something else."""
        if cls.failed:
            cls.failed = False
            pulumi.runtime.settings.reset_options()
            gc.collect()
            gc.freeze()  # Recordings that are kept are not looked through again after the next failure.

    async def _read_exports(self) -> None:
        for name, value in pulumi.runtime.get_root_resource().outputs.items():
            output = pulumi.Output.from_input(value)
            known = await output.is_known()
            self.exports[name] = await output.future() if known else UNKNOWN
            if await output.is_secret():
                self.secret_exports.add(name)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self.invokes.append(args)
        return {"stdout": "absent", "stderr": ""}, [("command", self.invoke_failure)] if self.invoke_failure else []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return ("" if self.preview else f"{args.name}-id"), {**args.inputs, **({} if self.preview else _computed(args))}

    def component(self, noun: str) -> Resource:
        """The one component of that noun."""
        (found,) = self.of_type(f"service-failover:index:{noun}")
        return found

    def of_type(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources.values() if resource.type == type_]

    def of_kind(self, kind: str) -> list[Resource]:
        """Kubernetes objects of a kind, custom resources too."""
        return [resource for resource in self.kubernetes() if resource.key[0] == kind]

    def one(self, kind: str, name: str) -> Resource:
        """The one Kubernetes object of that kind and name."""
        found = [resource for resource in self.of_kind(kind) if resource.key == (kind, name)]
        assert len(found) == 1, f"{len(found)} of {kind} {name} among {[resource.key for resource in self.kubernetes()]}"
        return found[0]

    def kubernetes(self) -> list[Resource]:
        return [resource for resource in self.resources.values() if resource.type.startswith("kubernetes:")]

    def ancestors(self, resource: Resource) -> Iterator[Resource]:
        """The components around a resource, from the inside."""
        while resource.parent in self.resources:
            resource = self.resources[resource.parent]
            yield resource


class _Monitor(mocks.MockMonitor):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            values = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.recorder.registrations.append(response.urn)
            self.recorder.resources[response.urn] = Resource(
                urn=response.urn,
                type=request.type,
                name=request.name,
                custom=request.custom,
                inputs={key: _plain(value) for key, value in values.items()},
                secret_inputs=frozenset(key for key, value in values.items() if _has_secret(value)),
                parent=request.parent,
                provider=request.provider.rsplit("::", 1)[0],
                deleted_with=request.deletedWith,
                depends_on=frozenset(request.dependencies),
                additional_secret_outputs=tuple(request.additionalSecretOutputs),
                create_timeout=request.customTimeouts.create,
                delete_before_replace=request.deleteBeforeReplace,
            )
        return response

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> Any:
        response = super().ReadResource(request)
        self.recorder.reads.append(
            Resource(
                urn=response.urn,
                type=request.type,
                name=request.name,
                custom=True,
                inputs={"id": request.id},
                secret_inputs=frozenset(),
                parent=request.parent,
                provider=request.provider.rsplit("::", 1)[0],
                deleted_with="",
                depends_on=frozenset(request.dependencies),
                additional_secret_outputs=tuple(request.additionalSecretOutputs),
                delete_before_replace=False,
                create_timeout="",
            )
        )
        return response

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> Any:
        values = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        self.recorder.registrations.append(f"outputs of {request.urn}")
        self.recorder.outputs[request.urn] = {key: _plain(value) for key, value in values.items()}
        self.recorder.secret_outputs[request.urn] = {key for key, value in values.items() if _has_secret(value)}
        return super().RegisterResourceOutputs(request)


def _computed(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """The outputs that a provider would add to the inputs."""
    match args.typ.rsplit(":", 1)[1]:
        case "Command":
            return {"stdout": KUBECONFIG, "stderr": ""}
        case "PrivateKey":
            return {"privateKeyPem": f"KEY {args.name}"}
        case "SelfSignedCert" | "LocallySignedCert":
            return {"certPem": f"CERTIFICATE {args.name}"}
        case "CertRequest":
            return {"certRequestPem": f"REQUEST {args.name}"}
        case "Service" if args.resource_id:
            return {"status": {"loadBalancer": {"ingress": [{"ip": READ_ADDRESS}]}}, "spec": {"ports": READ_PORTS}}
        case "Service" if args.inputs["spec"].get("type") == "LoadBalancer":
            return {"status": {"loadBalancer": {"ingress": [{"ip": "10.77.192.1"}]}}}
        case "Secret" if args.inputs.get("type") == "kubernetes.io/service-account-token":
            return {"data": {"token": "VE9LRU4="}}
    return {}


UNKNOWN = "UNKNOWN"


def _plain(value: Any) -> Any:
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _has_secret(value: Any) -> bool:
    if rpc.is_rpc_secret(value):
        return True
    if isinstance(value, dict):
        return any(_has_secret(item) for item in value.values())
    return isinstance(value, list) and any(_has_secret(item) for item in value)
