"""The components as a Pulumi component package: which there are, and how their inputs come to them from programs in other languages.

The package itself is `plugin/`. Schema and protocol are the SDK's (`pulumi.provider.experimental`); only its mapping of inputs is replaced, since
that hands integers on as floats (the wire has no integers), loses objects that are outputs of other resources, and does not look into lists of lists.
"""

from __future__ import annotations

import ast
import gc
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pulumi
from pulumi.output import Unknown
from pulumi.provider import ConstructResult, main
from pulumi.provider.experimental.analyzer import ComponentDefinition, PropertyDefinition, PropertyType, TypeDefinition
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from service_failover.bluegreen_app import BlueGreenApp
from service_failover.certificates import CertificateAuthority, TlsSecret
from service_failover.cluster_access import ClusterAccess
from service_failover.clusters.embedded import EmbeddedCluster
from service_failover.clusters.existing import ExistingCluster
from service_failover.clusters.kind import KindCluster
from service_failover.enterprise.gloo import EnterpriseGloo
from service_failover.enterprise.gloo_fed import EnterpriseGlooFed
from service_failover.failover_gateway import FailoverGateway
from service_failover.failover_scheme import FailoverScheme
from service_failover.gloo import Gloo
from service_failover.gloo_fed import GlooFed
from service_failover.monitoring.objects import Monitoring
from service_failover.names import PROJECT, VERSION
from service_failover.registration import Registration
from service_failover.route import Route
from service_failover.upstream import HealthCheckedUpstream

COMPONENTS: list[type[pulumi.ComponentResource]] = [
    EmbeddedCluster,
    KindCluster,
    ExistingCluster,
    Gloo,
    GlooFed,
    EnterpriseGloo,
    EnterpriseGlooFed,
    Monitoring,
    ClusterAccess,
    Registration,
    CertificateAuthority,
    TlsSecret,
    FailoverGateway,
    BlueGreenApp,
    HealthCheckedUpstream,
    FailoverScheme,
    Route,
]
"""In the order of the guide."""


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Collects no garbage meanwhile. What a collection may run makes Python 3.11 fail to parse the source that it is parsing (cpython#106905)."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Host(ComponentProvider):
    """The components, behind the protocol of a Pulumi provider."""

    def __init__(self) -> None:
        with _nothing_collected():
            super().__init__(COMPONENTS, PROJECT, version=VERSION)
            self.schema = json.dumps(self._with_inherited_descriptions(json.loads(self.schema or "{}")))

    def construct(self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None) -> ConstructResult:
        """Make a component. What it refuses is told as it says it, by the name that the input has in the schema, and without a traceback."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            match error.inner:
                case pulumi.InputPropertyError() as refused:
                    path = re.sub("_([a-z])", lambda found: found[1].upper(), refused.property_path)
                    raise pulumi.InputPropertyError(path, refused.reason) from None
                case pulumi.RunError() as ended:
                    raise ended from None
            raise

    def map_inputs(self, inputs: Mapping[str, Any], component_def: ComponentDefinition) -> dict[str, Any]:
        """The inputs as the component's constructor takes them. Raises pulumi.InputPropertyError for one that cannot be taken."""
        return self._object(inputs, component_def.inputs, component_def.inputs_mapping, path="")

    def _with_inherited_descriptions(self, schema: dict[str, Any]) -> dict[str, Any]:
        """`schema` with the docstrings of arguments that a TypedDict has from another one, where the SDK does not look."""
        for component in COMPONENTS:
            bases = _bases(inspect.get_annotations(component.__init__)["args"])
            names = self._component_defs[component.__name__].inputs_mapping
            for key, definition in schema["resources"][f"{PROJECT}:index:{component.__name__}"]["inputProperties"].items():
                found = (self.analyzer.get_docstring(base, names[key]) for base in bases)
                definition["description"] = definition.get("description") or next(filter(None, found), "")
        return schema

    def _object(self, values: Mapping[str, Any], known: Mapping[str, PropertyDefinition], names: Mapping[str, str], *, path: str) -> dict[str, Any]:
        mapped = {}
        for key, definition in known.items():
            here = f"{path}.{key}" if path else key
            value = values.get(key)
            if value is not None:
                mapped[names[key]] = self._value(value, definition, path=here)
            elif not definition.optional:
                raise pulumi.InputPropertyError(here, "is missing, and has no default")
        return mapped

    def _value(self, value: Any, definition: PropertyDefinition, *, path: str) -> Any:
        if definition.plain and isinstance(value, pulumi.Output | Unknown):
            raise pulumi.InputPropertyError(path, "has to be written out: it decides which resources there are, so no other resource can give it")
        if isinstance(value, pulumi.Output):
            return value.apply(lambda resolved: self._value(resolved, definition, path=path))
        if isinstance(value, Unknown):
            return value
        if definition.ref and (declared := self.get_type_definition(definition)):
            return self._declared(value, declared, path=path)
        if definition.items and isinstance(value, list):
            return [self._value(each, definition.items, path=f"{path}[{index}]") for index, each in enumerate(value)]
        if definition.additional_properties and isinstance(value, Mapping):
            return {key: self._value(each, definition.additional_properties, path=f"{path}.{key}") for key, each in value.items()}
        return _integer(value, path=path) if definition.type is PropertyType.INTEGER else value

    def _declared(self, value: Any, declared: TypeDefinition, *, path: str) -> Any:
        """A value of one of the package's own types: an enum's member, or an object."""
        if declared.enum:
            allowed = [member.value for member in declared.enum]
            if value not in allowed:
                raise pulumi.InputPropertyError(path, f"is {value!r}; allowed: {', '.join(map(str, allowed))}")
            return declared.python_type(value)
        if not isinstance(value, Mapping):
            raise pulumi.InputPropertyError(path, f"is {value!r}; it has to be an object with {', '.join(declared.properties)}")
        return self._object(value, declared.properties, declared.properties_mapping, path=path)


def serve() -> None:
    """Serve the engine that has started this process, until it ends it."""
    main(Host(), sys.argv[1:])


def _bases(typed_dict: type) -> list[type]:
    """The TypedDicts that `typed_dict` extends. A class does not remember these; its source does."""
    (statement,) = ast.parse(inspect.getsource(typed_dict)).body
    names = [base.id for base in getattr(statement, "bases", ()) if isinstance(base, ast.Name)]
    found = (getattr(sys.modules[typed_dict.__module__], name) for name in names)
    return [base for base in found if inspect.isclass(base)]


def _integer(value: Any, *, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise pulumi.InputPropertyError(path, f"is {value!r}; it has to be a whole number")
    return int(value)
