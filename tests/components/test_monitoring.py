"""Monitoring: what the Prometheus operator is given, that it fits what there is to scrape, and that nothing is made where the operator is not."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from program_recorder import Recorder, Resource
from program_runs import InCluster, default_config, run_program

from service_failover import clusters as kinds_of_clusters
from service_failover.addressing import CONTAINERS
from service_failover.clusters import kind
from service_failover.clusters.existing import ExistingCluster
from service_failover.config import ConfigError, parse
from service_failover.gloo import Gloo
from service_failover.gloo_fed import GlooFed
from service_failover.kind.nodes import DockerFailed, Node
from service_failover.kind.preflight import Wanted
from service_failover.monitoring.objects import ALERTS, DASHBOARD, Monitoring, MonitoringArgs
from service_failover.monitoring_settings import DEFINITIONS, Scraper
from service_failover.names import metrics_identity, xds_client_identity

pytestmark = pytest.mark.unit

FOLDER = "service_failover/monitoring/"


def monitoring(in_cluster: InCluster, **changes: Any) -> Recorder:
    args: MonitoringArgs = {"cluster_name": "east", "federation": True, **changes}  # type: ignore[typeddict-item]
    return in_cluster(lambda options: Monitoring("it", args, options))


def monitor(program: Recorder, job: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Which pods a PodMonitor selects, and its one endpoint."""
    spec = program.one("PodMonitor", job).inputs["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    return spec["selector"]["matchLabels"], endpoint


def pods(program: Recorder, deployment: str) -> tuple[dict[str, str], dict[str, int]]:
    """Labels of a Deployment's pods, and their named ports."""
    template = program.one("Deployment", deployment).inputs["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return template["metadata"]["labels"], {port["name"]: port["containerPort"] for port in container["ports"]}


def test_each_monitor_finds_its_pods_and_a_port_that_they_have(in_cluster: InCluster) -> None:
    program = monitoring(in_cluster)
    gloo = in_cluster(lambda options: Gloo("gloo", {"addressing": CONTAINERS, "proxy_metrics": True}, options))
    fed = in_cluster(lambda options: GlooFed("fed", {}, options))
    for deployment, installed in (("gloo", gloo), ("gateway-proxy", gloo), ("gloo-fed", fed)):
        selector, endpoint = monitor(program, f"service-failover-{deployment}")
        labels, ports = pods(installed, deployment)
        assert selector.items() <= labels.items(), "otherwise the operator finds nothing, and says nothing"
        assert endpoint["port"] in ports
        place = program.one("PodMonitor", f"service-failover-{deployment}").metadata["namespace"]
        assert place == installed.one("Deployment", deployment).metadata["namespace"], "a PodMonitor looks in its own namespace"


def test_what_is_scraped_says_its_cluster_and_its_job(in_cluster: InCluster) -> None:
    program = monitoring(in_cluster, interval_seconds=30)
    for job in ("service-failover-gloo", "service-failover-gloo-fed", "service-failover-gateway-proxy"):
        _, endpoint = monitor(program, job)
        assert {each["targetLabel"]: each["replacement"] for each in endpoint["relabelings"]} == {"cluster": "east", "job": job}
        assert endpoint["interval"] == "30s"
        assert endpoint.get("honorLabels", False) is (job != "service-failover-gateway-proxy"), "whose labels say what a metric is about"


def test_the_proxies_are_read_over_mutual_tls_with_the_certificate_for_that(in_cluster: InCluster) -> None:
    _, endpoint = monitor(monitoring(in_cluster), "service-failover-gateway-proxy")
    assert (endpoint["scheme"], endpoint["path"]) == ("https", "/stats/prometheus")
    tls = endpoint["tlsConfig"]
    assert tls["serverName"] == xds_client_identity("gloo-system"), "the name in the proxy's certificate"
    gloo = in_cluster(lambda options: Gloo("gloo", {"proxy_metrics": True}, options))
    secret = gloo.one("Secret", "gloo-metrics-client")
    used = [tls["ca"]["secret"], tls["cert"]["secret"], tls["keySecret"]]
    assert [(each["name"], each["key"]) for each in used] == [("gloo-metrics-client", key) for key in ("ca.crt", "tls.crt", "tls.key")]
    assert secret.inputs["type"] == "kubernetes.io/tls", "which has these keys"
    requests = {request.name: request.inputs["dnsNames"] for request in gloo.of_type("tls:index/certRequest:CertRequest")}
    assert requests["gloo-metrics-client-request"] == [metrics_identity("gloo-system")] != requests["gloo-xds-client-request"], "no right beyond that"
    (leaf,) = [each for each in gloo.of_type("tls:index/locallySignedCert:LocallySignedCert") if each.name.startswith("gloo-metrics-client")]
    assert leaf.inputs["allowedUses"] == ["digital_signature", "client_auth"]


def test_without_being_asked_for_the_proxies_have_no_such_port(in_cluster: InCluster) -> None:
    gloo = in_cluster(lambda options: Gloo("gloo", {}, options))
    assert "metrics" not in pods(gloo, "gateway-proxy")[1]
    assert "9980" not in json.dumps(gloo.one("Deployment", "gateway-proxy").inputs), "nor a listener"


def test_a_cluster_without_the_federation_has_no_monitor_for_it(in_cluster: InCluster) -> None:
    kinds = [resource.key for resource in monitoring(in_cluster, federation=False).of_kind("PodMonitor")]
    assert sorted(kinds) == [("PodMonitor", "service-failover-gateway-proxy"), ("PodMonitor", "service-failover-gloo")]


def test_rules_and_dashboard_are_those_of_the_files(in_cluster: InCluster) -> None:
    program = monitoring(in_cluster, labels={"release": "kube-prometheus-stack"})
    rule, dashboard = program.one("PrometheusRule", "service-failover"), program.one("ConfigMap", "service-failover-dashboard")
    assert rule.inputs["spec"] == yaml.safe_load(ALERTS.read_text())
    assert dashboard.inputs["data"] == {"service-failover.json": DASHBOARD.read_text()}
    assert dashboard.metadata["labels"]["grafana_dashboard"] == "1", "the sidecar looks for it"
    for resource in program.kubernetes():
        if resource.kind != "kubernetes":
            assert resource.metadata["labels"]["release"] == "kube-prometheus-stack", "the operator selects by it"


CLUSTERS = [{"name": "local", "management": True}, {"name": "remote"}]
OPERATOR = {"scrapedBy": "operator", "labels": {"release": "prometheus"}}


def refused(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(default_config() | changes)
    return error.value.problems


def test_by_default_nobody_is_provided_for() -> None:
    assert parse(default_config()).monitoring.scraped_by is Scraper.NONE


def test_the_operator_is_refused_on_embedded_clusters_with_where_the_files_are() -> None:
    (problem,) = refused(monitoring=OPERATOR)
    assert problem.startswith('monitoring.scrapedBy: "operator" needs clusters in which the Prometheus operator can run')
    assert "embedded: clusters[0] (local), clusters[1] (remote)" in problem
    assert "allowed with them: none, prometheus" in problem
    assert FOLDER in problem, "the same files for a Prometheus on this machine"
    assert "make metrics" in problem


def test_it_is_refused_with_the_enterprise_edition() -> None:
    with pytest.raises(ConfigError) as error:
        parse(
            default_config() | {"monitoring": OPERATOR, "edition": "enterprise", "licenseKey": "k", "clusterKind": "existing", "clusters": CLUSTERS},
            secret_keys=frozenset({"licenseKey"}),
        )
    (problem,) = error.value.problems
    assert problem.startswith('monitoring.scrapedBy: "operator" is for the open control plane, and edition is "enterprise"')


@pytest.mark.parametrize(
    ("monitoring", "problem"),
    [
        ({"scrapedBy": "datadog", "labels": {}}, 'monitoring.scrapedBy: "datadog" is not allowed; allowed: none, prometheus, operator'),
        ({"scrapedBy": "none", "labels": ["a"]}, 'monitoring.labels: ["a"] is not allowed; allowed: a mapping of label names to values'),
        (
            {"scrapedBy": "none", "labels": {"a": "b"}},
            'monitoring.labels: are for the objects of the Prometheus operator; set scrapedBy to "operator"',
        ),
        ({"scrapedBy": "none", "labels": {}, "interval": 1}, "monitoring.interval: unknown key (its value is 1); allowed: labels, scrapedBy"),
        (True, "monitoring: true is not allowed; allowed: a mapping of keys to values"),
    ],
)
def test_what_it_cannot_be_is_refused(monitoring: Any, problem: str) -> None:
    (said,) = refused(monitoring=monitoring)
    assert said.startswith(problem)


@pytest.mark.parametrize("labels", [{"release": 1}, {"release": "a b"}, {"re lease": "a"}, {"release": ""}])
def test_labels_that_kubernetes_would_refuse_are_refused(labels: dict[str, Any]) -> None:
    (said,) = refused(monitoring={"scrapedBy": "operator", "labels": labels}, clusterKind="existing", clusters=CLUSTERS)
    assert said.startswith("monitoring.labels.re"), "it names the label"
    assert "allowed: names such as team" in said


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two contexts, local and remote. Nobody answers there."""
    document = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443"}} for name in ("local", "remote")],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ("local", "remote")],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(ExistingCluster, "owns_namespace", lambda self, name: True)


def existing_program(monkeypatch: pytest.MonkeyPatch, *, lacking: dict[str, list[str]], preview: bool = False, by: str = "operator") -> Recorder:
    monkeypatch.setattr(ExistingCluster, "lacking", lambda self, definitions: lacking.get(self.cluster_name, []))
    chosen = OPERATOR if by == "operator" else {"scrapedBy": by, "labels": {}}
    return run_program(preview=preview, changes={"clusterKind": "existing", "clusters": CLUSTERS, "monitoring": chosen})


def objects(program: Recorder, name: str) -> list[Resource]:
    return [each for each in program.kubernetes() if each.name.startswith(f"{name}-monitoring")]


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("preview", [False, True])
def test_each_cluster_gets_it_and_the_management_cluster_that_of_the_federation(monkeypatch: pytest.MonkeyPatch, preview: bool) -> None:
    program = existing_program(monkeypatch, lacking={}, preview=preview)
    assert (len(objects(program, "local")), len(objects(program, "remote"))) == (5, 4)
    for cluster in ("local", "remote"):
        for made in objects(program, cluster):
            assert made.provider.endswith(f"::{cluster}-provider")
            assert made.metadata["labels"]["release"] == "prometheus"
    for made in objects(program, "local"):
        waits = {urn.rsplit("::", 1)[1] for urn in made.depends_on}
        assert {"local-gloo-namespace", "gloo-fed-namespace"} <= waits, "the namespaces are there before what is in them"


@pytest.mark.usefixtures("kubeconfig")
def test_for_a_prometheus_of_ones_own_there_is_the_certificate_and_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    program = existing_program(monkeypatch, lacking={"local": list(DEFINITIONS)}, by="prometheus")
    assert program.of_kind("PodMonitor") == [], "and nobody asks for the operator"
    assert [each.key[1] for each in program.of_kind("Secret")].count("gloo-metrics-client") == 2, "one in each cluster"


def test_by_default_there_is_neither(update: Recorder) -> None:
    assert update.of_kind("PodMonitor") == []
    assert "gloo-metrics-client" not in [each.key[1] for each in update.of_kind("Secret")]


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("preview", [False, True])
def test_a_cluster_without_the_operator_ends_the_program_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, preview: bool) -> None:
    monkeypatch.setattr("service_failover.editions.Gloo", partial(pytest.fail, "gloo was made"))
    with pytest.raises(pulumi.RunError) as ended:
        existing_program(monkeypatch, lacking={"remote": ["podmonitors.monitoring.coreos.com"]}, preview=preview)
    assert "nothing was changed" in str(ended.value)
    assert "needs the Prometheus operator in cluster remote, which lacks podmonitors.monitoring.coreos.com" in str(ended.value)
    assert "helm install kube-prometheus-stack" in str(ended.value), "what to do"
    assert 'set "prometheus"' in str(ended.value), "or what else"
    assert "cluster local" not in str(ended.value), "which has it"


NODE = Node(name="n", cluster="failover-local", running=True, owner="me", generation="cafe", host_ports=frozenset())
WANTED = {"local": Wanted(index=0, kind_name="failover-local", owner="me", host_port=8080)}


@pytest.mark.parametrize(
    ("nodes", "there", "said"),
    [
        ((NODE,), DEFINITIONS, []),
        ((NODE,), DEFINITIONS[:1], ["which lacks prometheusrules.monitoring.coreos.com"]),
        ((), (), ['which is not made yet; bring it up with "prometheus"']),
    ],
    ids=["it is there", "half of it", "no cluster yet"],
)
def test_a_kind_cluster_is_asked_by_docker(monkeypatch: pytest.MonkeyPatch, nodes: tuple[Node, ...], there: tuple[str, ...], said: list[str]) -> None:
    printed = "".join(f"customresourcedefinition.apiextensions.k8s.io/{name}\n" for name in (*there, "upstreams.gloo.solo.io"))
    monkeypatch.setattr(kind, "list_nodes", lambda: nodes)
    monkeypatch.setattr("service_failover.kind.nodes.docker", lambda *arguments: printed)
    found = kind.lacking_operator(WANTED)
    assert len(found) == len(said)
    assert all(text in problem for text, problem in zip(said, found, strict=True))


def test_a_docker_that_does_not_say_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DockerFailed("docker is not on PATH")

    monkeypatch.setattr(kind, "list_nodes", fail)
    with pytest.raises(pulumi.RunError, match="docker is not on PATH"):
        kind.lacking_operator(WANTED)


def test_kind_clusters_are_asked_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds_of_clusters, "require_machine", lambda wanted: None)
    monkeypatch.setattr(kinds_of_clusters, "lacking_operator", lambda wanted: [f"problem of {', '.join(wanted)}"])
    monkeypatch.setattr(kinds_of_clusters, "_create_cluster", partial(pytest.fail, "a cluster was made"))
    with pytest.raises(pulumi.RunError, match="problem of local, remote"):
        run_program(changes={"clusterKind": "kind", "monitoring": OPERATOR})
