"""FailoverSchemes become `spec.failover` of the primary, or say which field is why not."""

from __future__ import annotations

from typing import Any

import pytest
from translation_support import BLUE, GREEN, GREEN_CLUSTER, NAMESPACE, SERVER, blue, translated

from controlplane.translation.fed import FailoverResult, failover_spec
from controlplane.translation.types import Key
from gloo_api import names
from gloo_api.failover import LbEndpoint
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.meta import InvalidResource
from gloo_api.status import FedState

pytestmark = pytest.mark.unit


def member(cluster: str = "remote", name: str = GREEN, **more: Any) -> dict[str, Any]:
    return {"cluster": cluster, "upstreams": [{"name": name, "namespace": NAMESPACE}], **more}


def scheme(*groups: list[dict[str, Any]], primary: str = "local") -> FailoverScheme:
    spec = {
        "primary": {"clusterName": primary, "name": BLUE, "namespace": NAMESPACE},
        "failoverGroups": [{"priorityGroup": group} for group in groups or ([member()],)],
    }
    return FailoverScheme.parse({"metadata": {"name": "failover-scheme", "namespace": "gloo-fed"}, "spec": spec})


def cluster(name: str, *, identity: bool = True) -> KubernetesCluster:
    annotations = {names.IDENTITY_ANNOTATION: f"failover-gateway.{name}"} if identity else {}
    return KubernetesCluster.parse({"metadata": {"name": name, "annotations": annotations}, "spec": {"secretName": name}})


def instance(name: str, *addresses: str, port_name: str = "failover", region: str = "us-east-1", zones: tuple[str, ...] = ("c",)) -> GlooInstance:
    endpoints = [{"address": address, "serviceName": "failover", "ports": [{"port": 15443, "name": port_name}]} for address in addresses]
    proxy = {"name": "gateway-proxy", "namespace": NAMESPACE, "zones": list(zones), "ingressEndpoints": endpoints}
    return GlooInstance.parse({"spec": {"cluster": name, "region": region, "controlPlane": {"namespace": NAMESPACE}, "proxies": [proxy]}})


CLUSTERS = ("local", "remote", "third")


def planned(given: FailoverScheme, *instances: GlooInstance, identity: bool = True, upstreams: dict[str, set[Key]] | None = None) -> FailoverResult:
    return failover_spec(
        given,
        clusters={name: cluster(name, identity=identity) for name in CLUSTERS},
        instances=instances or (instance("local"), instance("remote", "10.78.192.1"), instance("third", "10.79.192.1")),
        upstreams=upstreams if upstreams is not None else {name: {Key(NAMESPACE, GREEN), Key(NAMESPACE, BLUE)} for name in CLUSTERS},
    )


def endpoints(result: FailoverResult) -> list[list[LbEndpoint]]:
    assert result.failover is not None, result.message
    return [
        [endpoint for place in locality.locality_endpoints for endpoint in place.lb_endpoints] for locality in result.failover.prioritized_localities
    ]


def test_the_guides_scheme_leads_to_the_other_clusters_gateway() -> None:
    result = planned(scheme())
    ((endpoint,),) = endpoints(result)
    assert (endpoint.address, endpoint.port) == ("10.78.192.1", 15443), "where the Service named failover is reached"
    tls = endpoint.upstream_ssl_config
    assert tls is not None, "nothing crosses clusters in plain text"
    assert tls.sni == GREEN_CLUSTER, "the Gateway finds the cluster by this name"
    assert tls.verify_subject_alt_name == (SERVER,), "the annotation of the cluster says who must answer"
    assert tls.secret_ref is not None, "the client shows a certificate"
    assert (tls.secret_ref.name, tls.secret_ref.namespace) == ("failover-upstream", NAMESPACE), "the guide's Secret"
    assert (result.state, result.message) == (FedState.ACCEPTED, ""), "nothing is wrong"


def test_what_is_written_is_what_the_translation_reads() -> None:
    result = planned(scheme())
    assert result.failover is not None, "the guide's scheme is fine"
    assert result.failover.to_object() == blue(failover=result.failover.to_object()).to_object()["spec"]["failover"], "one model on both sides"
    assert translated(blue(failover=result.failover.to_object())).clusters, "and it translates"


def test_groups_are_priorities_in_their_order_and_weights_and_places_arrive() -> None:
    result = planned(scheme([member("third", localityWeight=3)], [member()]))
    assert [[endpoint.address for endpoint in tier] for tier in endpoints(result)] == [["10.79.192.1"], ["10.78.192.1"]], "list order is priority"
    assert result.failover is not None, "checked above"
    place = result.failover.prioritized_localities[0].locality_endpoints[0]
    assert place.load_balancing_weight == 3, "as written"
    assert place.locality is not None, "metrics by place say who served"
    assert (place.locality.region, place.locality.zone) == ("us-east-1", "c"), "from the nodes' labels"


def test_a_weight_says_what_it_needs() -> None:
    result = planned(scheme([member("third", localityWeight=3)]))
    assert result.state is FedState.ACCEPTED, "it is no problem"
    assert "spec.failoverGroups[0].priorityGroup[0].localityWeight: 3 counts when the primary has" in result.message, "Envoy ignores it otherwise"


def test_a_weight_is_that_of_the_cluster_however_many_gateways_it_has() -> None:
    second = instance("third", "10.79.192.2", region="us-east-1", zones=("d",))
    given = planned(scheme([member("third", localityWeight=3)]), instance("local"), instance("third", "10.79.192.1"), second)
    assert given.failover is not None, "both are reached"
    (place,) = given.failover.prioritized_localities[0].locality_endpoints
    assert place.load_balancing_weight == 3, "two places of weight 3 would be a share of 6"
    assert [endpoint.address for endpoint in place.lb_endpoints] == ["10.79.192.1", "10.79.192.2"], "both take part in it"
    assert place.locality is not None, "the region is the same"
    assert (place.locality.region, place.locality.zone) == ("us-east-1", ""), "the zone is not"


def test_every_upstream_of_every_member_of_a_group_is_a_target_of_its_priority() -> None:
    two = {"cluster": "remote", "upstreams": [{"name": name, "namespace": NAMESPACE} for name in (GREEN, BLUE)]}
    result = planned(scheme([two, member("third")], [member("local")]), *(instance(name, f"10.{n}.192.1") for n, name in enumerate(CLUSTERS, 77)))
    assert result.state is FedState.ACCEPTED, "the primary's own cluster is a target, too, through its own Gateway"
    found = [[(item.address, item.upstream_ssl_config.sni) for item in tier if item.upstream_ssl_config] for tier in endpoints(result)]
    first = [("10.78.192.1", GREEN_CLUSTER), ("10.78.192.1", f"{BLUE}_{NAMESPACE}"), ("10.79.192.1", GREEN_CLUSTER)]
    assert found == [first, [("10.77.192.1", GREEN_CLUSTER)]], "one address, several names"


def test_more_groups_than_envoy_has_priorities_are_refused() -> None:
    groups = [[{"cluster": "remote", "upstreams": [{"name": f"u{n}", "namespace": NAMESPACE}]}] for n in range(129)]
    with pytest.raises(InvalidResource, match=r"spec\.failoverGroups"):
        scheme(*groups)


def test_a_proxy_in_several_zones_states_none() -> None:
    result = planned(scheme(), instance("remote", "10.78.192.1", zones=("a", "b")))
    assert result.failover is not None, "zones are no condition"
    place = result.failover.prioritized_localities[0].locality_endpoints[0].locality
    assert place is not None, "the region is known"
    assert place.zone == "", "one address in front of two zones is in neither"


def test_the_order_of_addresses_changes_nothing() -> None:
    one, two = (planned(scheme(), instance("remote", *addresses)) for addresses in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")))
    assert one == two, "an order that changes would be written again and again"


def test_an_unknown_identity_is_a_note() -> None:
    result = planned(scheme(), identity=False)
    ((endpoint,),) = endpoints(result)
    assert endpoint.upstream_ssl_config is not None, "still mutual TLS"
    assert endpoint.upstream_ssl_config.verify_subject_alt_name == (), "there is no name to verify"
    assert result.state is FedState.ACCEPTED, "it works"
    assert names.IDENTITY_ANNOTATION in result.message, "and says what is missing"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (scheme(primary="nowhere"), 'spec.primary.clusterName: "nowhere" is not registered; allowed: local, remote, third'),
        (scheme([member("nowhere")]), 'spec.failoverGroups[0].priorityGroup[0].cluster: "nowhere" is not registered; allowed: local, remote, third'),
        (
            scheme([member("local", BLUE)]),
            f"spec.failoverGroups[0].priorityGroup[0].upstreams[0]: {NAMESPACE}/{BLUE} in cluster local is named already by spec.primary",
        ),
        (scheme([member()], [member()]), "spec.failoverGroups[1].priorityGroup[0].upstreams[0]"),
    ],
)
def test_what_cannot_be_is_invalid_and_nothing_is_written(given: FailoverScheme, message: str) -> None:
    result = planned(given)
    assert result.failover is None, "the primary is left as it is"
    assert result.state is FedState.INVALID, "no cluster can make it right"
    assert message in result.message, "field, value and what is allowed"


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ((instance("local"),), 'no GlooInstance was found in "remote"'),
        ((instance("remote"),), '"remote" has no failover address; it needs a Service of type LoadBalancer or NodePort with a port named "failover"'),
        ((instance("remote", "10.78.192.1", port_name="http"),), '"remote" has no failover address'),
    ],
)
def test_a_cluster_without_failover_address_is_named(instances: tuple[GlooInstance, ...], message: str) -> None:
    result = planned(scheme(), *instances)
    assert (result.failover, result.state) == (None, FedState.FAILED), "there is nowhere to fail over to, yet"
    assert f"spec.failoverGroups[0].priorityGroup[0].cluster: {message}" in result.message, "field, value and what is needed"


def test_a_missing_upstream_is_named_with_those_that_exist() -> None:
    result = planned(scheme(), upstreams={"remote": {Key(NAMESPACE, "other")}})
    assert result.state is FedState.FAILED, "requests for it would be refused by its Gateway"
    assert f"upstreams[0]: Upstream {NAMESPACE}/{GREEN} does not exist in cluster remote; there are: {NAMESPACE}/other" in result.message, (
        "field and value"
    )


def test_a_cluster_that_cannot_be_read_is_trusted() -> None:
    assert planned(scheme(), upstreams={}).state is FedState.ACCEPTED, "stale is better than none: its Gateway may serve all the same"


def test_one_missing_target_leaves_the_others_and_their_priorities() -> None:
    result = planned(scheme([member("third")], [member()]), instance("remote", "10.78.192.1"))
    assert [len(tier) for tier in endpoints(result)] == [0, 1], "the first tier keeps its place; endpoints that move must prove their health again"
    assert result.state is FedState.FAILED, "and it says that something is missing"


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(InvalidResource, match=r"spec\.failoverGroups\[0\]\.priorityGroup\[0\]\.clusterName: is not supported here"):
        scheme([{**member(), "clusterName": "remote"}])
