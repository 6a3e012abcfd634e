"""How inputs come to a hosted component: with Python's names and types, whatever the wire and other languages make of them."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.provider.server import ComponentInitError

from service_failover.apps import HealthFilter
from service_failover.hosting import COMPONENTS, Host

pytestmark = pytest.mark.unit

UPSTREAM = {"serviceNamespace": "default", "serviceName": "web", "servicePort": 8080.0, "path": "/", "interval": "1s", "timeout": "1s"}


@pytest.fixture(scope="module")
def host() -> Host:
    return Host()


def mapped(host: Host, component: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return host.map_inputs(inputs, host._component_defs[component])


async def resolved(value: Any) -> Any:
    return await pulumi.Output.from_input(value).future()


def test_names_are_those_of_python_and_whole_numbers_are_integers(host: Host) -> None:
    args = mapped(host, "HealthCheckedUpstream", {**UPSTREAM, "unhealthyThreshold": 3.0})
    assert args["service_name"] == "web"
    assert repr(args["service_port"]) == "8080", "on the wire every number is a float, and this one becomes part of a name"
    assert repr(args["unhealthy_threshold"]) == "3"
    assert "healthy_threshold" not in args, "what was not given is not there, so its default counts"


@pytest.mark.parametrize("value", [1.5, "80", True])
def test_a_number_that_is_none_is_refused_by_its_path(host: Host, value: object) -> None:
    with pytest.raises(pulumi.InputPropertyError) as refused:
        mapped(host, "HealthCheckedUpstream", {**UPSTREAM, "servicePort": value})
    assert refused.value.property_path == "servicePort"
    assert repr(value) in refused.value.reason, "the value is named"


def test_a_missing_input_is_refused_by_its_path(host: Host) -> None:
    with pytest.raises(pulumi.InputPropertyError) as refused:
        mapped(host, "FailoverScheme", {"primary": {"cluster": "local"}, "tiers": []})
    assert refused.value.property_path == "primary.upstream"


def test_objects_in_lists_of_lists_are_mapped(host: Host) -> None:
    tiers = [[{"cluster": "east", "upstreams": ["a"], "weight": 3.0}], [{"cluster": "west", "upstreams": ["b"]}]]
    args = mapped(host, "FailoverScheme", {"primary": {"cluster": "local", "upstream": "up"}, "tiers": tiers})
    assert repr(args["tiers"][0][0]["weight"]) == "3", "a tier is a list of members"
    with pytest.raises(pulumi.InputPropertyError) as refused:
        mapped(host, "FailoverScheme", {"primary": {"cluster": "local", "upstream": "up"}, "tiers": [[{"cluster": "east"}]]})
    assert refused.value.property_path == "tiers[0][0].upstreams"


def test_a_choice_becomes_a_member_or_is_refused_with_what_is_allowed(host: Host) -> None:
    args = mapped(host, "BlueGreenApp", {"color": "blue", "healthFilter": "path"})
    assert args["health_filter"] is HealthFilter.PATH
    with pytest.raises(pulumi.InputPropertyError) as refused:
        mapped(host, "BlueGreenApp", {"color": "blue", "healthFilter": "none"})
    assert refused.value.reason == "is 'none'; allowed: everything, path"


async def test_an_object_that_another_component_gives_is_mapped_when_it_is_known(host: Host) -> None:
    given = pulumi.Output.from_input({"listenAddress": "10.0.0.1", "loopbackAddress": "127.0.0.1", "realise": "a=b"})
    args = mapped(host, "BlueGreenApp", {"color": "blue", "addressing": given})
    assert await resolved(args["addressing"]) == {"listen_address": "10.0.0.1", "loopback_address": "127.0.0.1", "realise": "a=b"}


async def test_outputs_may_be_anywhere_in_a_list(host: Host) -> None:
    names = ["a", pulumi.Output.from_input("b")]
    for given in (names, pulumi.Output.from_input(names)):
        args = mapped(host, "FailoverGateway", {"serverNames": given, "clientIdentities": ["c"]})
        assert await resolved(args["server_names"]) == ["a", "b"]


def test_what_is_not_known_yet_stays_so(host: Host) -> None:
    unknown = Unknown()
    assert mapped(host, "Route", {"prefix": "/", "upstream": unknown})["upstream"] is unknown, "the SDK waits for it"


async def test_a_plain_input_cannot_be_an_output(host: Host) -> None:
    for value in (Unknown(), pulumi.Output.from_input(2)):
        with pytest.raises(pulumi.InputPropertyError) as refused:
            mapped(host, "Gloo", {"replicas": value})
        assert refused.value.property_path == "replicas"
        assert "written out" in refused.value.reason


async def test_a_secret_stays_secret(host: Host) -> None:
    args = mapped(host, "Registration", {"clusterName": "a", "kubeconfig": pulumi.Output.secret("key"), "gatewayIdentity": "b"})
    assert await args["kubeconfig"].is_secret()


def test_what_a_component_refuses_is_told_by_the_name_in_the_schema(host: Host) -> None:
    inputs = {"clusterName": "Not A Label", "region": "r", "zone": "z"}
    with pytest.raises(pulumi.InputPropertyError) as refused:
        host.construct("one", "service-failover:index:EmbeddedCluster", inputs)
    assert refused.value.property_path == "clusterName", "a program in YAML has no cluster_name"
    assert "Not A Label" in refused.value.reason


def test_an_end_of_the_program_stays_one_and_a_defect_a_defect(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with(error: Exception) -> None:
        def component(*_: object) -> None:
            raise error

        monkeypatch.setitem(host._components, "Route", component)

    inputs = {"prefix": "/", "upstream": "up"}
    fail_with(pulumi.RunError("the cluster does not answer"))
    with pytest.raises(pulumi.RunError, match="the cluster does not answer"):
        host.construct("one", "service-failover:index:Route", inputs)
    fail_with(KeyError("upstream"))
    with pytest.raises(ComponentInitError):
        host.construct("one", "service-failover:index:Route", inputs)


def test_every_component_is_registered_under_its_own_name(host: Host) -> None:
    assert list(host._component_defs) == [component.__name__ for component in COMPONENTS]
