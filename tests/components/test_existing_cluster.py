"""Clusters that are there already: how a kubeconfig is read, and that nothing is created, adopted or deleted that is not ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2 as httpx
import pulumi
import pytest
import yaml
from lightkube.core.exceptions import ApiError
from program_recorder import Recorder
from program_runs import run_program

from embedded.kubeconfig import kubeconfig as embedded_kubeconfig
from service_failover.clusters import asking
from service_failover.clusters.existing import ExistingCluster
from service_failover.kubeconfigs import UnusableKubeconfig, kubeconfig_files, read_context, realise_of

pytestmark = pytest.mark.unit


def written(path: Path, **contexts: dict[str, Any]) -> Path:
    """A kubeconfig with a context, a cluster and a user for each name; the values go into the cluster's entry."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(contexts)),
        "clusters": [{"name": f"{name}-cluster", "cluster": {"server": f"https://{name}:6443", **cluster}} for name, cluster in contexts.items()],
        "users": [{"name": f"{name}-user", "user": {"token": f"token-of-{name}"}} for name in contexts],
        "contexts": [{"name": name, "context": {"cluster": f"{name}-cluster", "user": f"{name}-user"}} for name in contexts],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_only_the_chosen_context_is_taken(tmp_path: Path) -> None:
    document = read_context([written(tmp_path / "config", here={}, far={})], "far")
    assert document["current-context"] == "far", "whatever the user's own current context is"
    assert "here" not in json.dumps(document), "the keys of other clusters are nobody's business here"


def test_files_that_it_names_are_read_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_text("CA")
    document = read_context([written(tmp_path / "config", far={"certificate-authority": "pki/ca.crt"})], "far")
    cluster = document["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"CA"
    assert "certificate-authority" not in cluster, "the document stands alone"


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    files = [written(tmp_path / "one", far={"server": "https://first:6443"}), written(tmp_path / "two", far={}, other={})]
    assert read_context(files, "far")["clusters"][0]["cluster"]["server"] == "https://first:6443"
    assert read_context(files, "other")["clusters"][0]["name"] == "other-cluster"


def test_kubectls_places_are_looked_in() -> None:
    assert kubeconfig_files("", {"KUBECONFIG": "/a:/b"}) == [Path("/a"), Path("/b")]
    assert kubeconfig_files("", {}) == [Path("~/.kube/config").expanduser()]
    assert kubeconfig_files("/c", {"KUBECONFIG": "/a"}) == [Path("/c")], "what the config names comes before the environment"


def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    file = written(tmp_path / "config", here={}, far={})
    with pytest.raises(UnusableKubeconfig, match=r"there is no context 'fra'; there are: here, far"):
        read_context([file], "fra")


def test_a_missing_kubeconfig_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UnusableKubeconfig, match=r"there is no kubeconfig at .*absent; set KUBECONFIG"):
        read_context([tmp_path / "absent"], "far")


def test_an_error_shows_no_key(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("users: [{name: u, user: {token: hush}}")
    with pytest.raises(UnusableKubeconfig) as refused:
        read_context([tmp_path / "config"], "far")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is no kubeconfig: it holds no mapping"),
        ("contexts: [{name: far, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {}}]\nusers: [{name: u}]", "names no server"),
        (
            "contexts: [{name: far, context: {cluster: c, user: u}}]\nusers: [{name: u}]\n"
            "clusters: [{name: c, cluster: {server: 'https://c', certificate-authority: absent.crt}}]",
            r"certificate-authority 'absent.crt' cannot be read: No such file or directory",
        ),
    ],
    ids=["no mapping", "no server", "no file"],
)
def test_a_kubeconfig_that_is_of_no_use_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(UnusableKubeconfig, match=message):
        read_context([tmp_path / "config"], "far")


def test_a_file_with_a_token_is_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "contexts: [{name: far, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://c'}}]\n"
        "users: [{name: u, user: {tokenFile: token}}]"
    )
    assert read_context([tmp_path / "config"], "far")["users"][0]["user"] == {"tokenFile": str(tmp_path / "token")}, "others read it anew"


def test_an_embedded_cluster_says_how_its_addresses_are_dialled(tmp_path: Path) -> None:
    realise = "10.0.0.0/8=127.0.0.0/8"
    text = embedded_kubeconfig(cluster="a", context="a", user="u", server="https://s", realise=realise, ca="C", certificate="C", key="K")
    (tmp_path / "config").write_text(text)
    assert realise_of(read_context([tmp_path / "config"], "a")) == realise
    assert realise_of(read_context([written(tmp_path / "other", far={})], "far")) is None, "other clusters have networks"


def two_contexts(folder: Path) -> Path:
    return written(folder / "config", local={"certificate-authority-data": "Q0E="}, remote={"certificate-authority-data": "Q0E="})


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = two_contexts(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


CLUSTERS = [{"name": "local", "management": True}, {"name": "remote"}]


def existing_program(*, preview: bool = False, **changes: Any) -> Recorder:
    return run_program(preview=preview, changes={"clusterKind": "existing", "clusters": CLUSTERS, **changes})


@cache
def recorded(*, preview: bool = False, taken: tuple[str, str] | None = None, replicas: int = 1) -> Recorder:
    """The program on the two clusters, run once for all tests that only read what it registers.

    `taken`: (cluster, namespace) that somebody else has. The API servers of these tests are not there, so nobody is asked.
    """
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(ExistingCluster, "owns_namespace", lambda self, name: (self.cluster_name, name) != taken)
        patch.setenv("KUBECONFIG", str(two_contexts(Path(folder))))
        return existing_program(preview=preview, replicas=replicas)


def test_no_cluster_is_created_and_nothing_goes_with_one() -> None:
    program = recorded()
    assert program.of_type("command:local:Command") == [], "nothing starts or stops a cluster"
    assert [resource.name for resource in program.resources.values() if resource.deleted_with] == [], "the clusters stay, so each object is deleted"


def test_a_provider_is_told_which_cluster_it_is_for() -> None:
    providers = recorded().of_type("pulumi:providers:kubernetes")
    assert len({provider.inputs["clusterIdentifier"] for provider in providers}) == 2, "two clusters, two identities"
    for provider in providers:
        assert "kubeconfig" in provider.secret_inputs, "it holds the user's credentials"


def test_a_preview_knows_the_clusters() -> None:
    assert recorded(preview=True).exports["contexts"] == {"local": "local", "remote": "remote"}


def test_a_namespace_that_is_somebody_elses_is_left_alone() -> None:
    namespaces = [resource.name for resource in recorded(taken=("remote", "gloo-system"), replicas=2).of_kind("Namespace")]
    assert sorted(namespaces) == ["gloo-fed-namespace", "local-gloo-namespace"]


def test_several_replicas_are_spread_and_drained_one_at_a_time() -> None:
    program = recorded(taken=("remote", "gloo-system"), replicas=2)
    for name in ("gloo", "gateway-proxy", "gloo-fed"):
        for deployment in (each for each in program.of_kind("Deployment") if each.key[1] == name):
            spec = deployment.inputs["spec"]
            assert spec["replicas"] == 2
            spread = {each["topologyKey"] for each in spec["template"]["spec"]["topologySpreadConstraints"]}
            assert spread == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, "one zone or node must not take all of them"
    budgets = [budget.key[1] for budget in program.of_kind("PodDisruptionBudget")]
    assert sorted(budgets) == ["gateway-proxy", "gateway-proxy", "gloo", "gloo", "gloo-fed"]


def test_a_single_replica_can_be_drained() -> None:
    assert recorded().of_kind("PodDisruptionBudget") == []


def test_containers_listen_on_all_addresses_of_their_pod() -> None:
    deployment = recorded().one("Deployment", "echo-blue")
    (echo, _) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert "-listen=0.0.0.0:5678" in echo["args"], "a pod has a network of its own there"


def test_the_scheme_goes_before_the_federation_that_has_to_release_it() -> None:
    waits_for = {urn.rsplit("::", 1)[1] for urn in recorded().one("FailoverScheme", "failover-scheme").depends_on}
    assert "gloo-fed-deployment" in waits_for, "destroy runs in the other order: without gloo-fed nobody takes the scheme's finalizer away"


@pytest.mark.parametrize("preview", [True, False])
def test_an_unknown_context_ends_the_program_before_anything_is_created(kubeconfig: Path, preview: bool) -> None:
    clusters = [{"name": "local", "context": "far", "management": True}, {"name": "remote"}]
    with pytest.raises(pulumi.RunError, match="there is no context 'far'; there are: local, remote"):
        existing_program(preview=preview, clusters=clusters)


def test_an_api_server_that_does_not_answer_is_named_with_what_to_try(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(kubeconfig, local={"server": "https://127.0.0.1:1"}, remote={"server": "https://127.0.0.1:1"})
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 1.0)
    with pytest.raises(pulumi.RunError, match=r"Cluster local does not answer: .*\n.*kubectl --context local get namespaces"):
        existing_program()


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    [
        (404, {"message": "absent", "code": 404}, True),
        (200, {"metadata": {"labels": {"app.kubernetes.io/part-of": "service-failover"}}}, True),
        (200, {"metadata": {"labels": {"team": "payments"}}}, False),
        (200, {"metadata": {}}, False),
    ],
    ids=["absent", "made here", "of another team", "without labels"],
)
def test_a_namespace_is_ours_when_it_is_absent_or_made_here(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: Any, ours: bool
) -> None:
    monkeypatch.setattr(asking.lightkube, "Client", partial(ApiServer, status, body))
    found: list[bool] = []
    Recorder().run(lambda: found.append(ExistingCluster("it", {"cluster_name": "it", "context": "local"}).owns_namespace("gloo-system")))
    assert found == [ours]


def test_an_api_server_that_does_not_say_is_quoted(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.lightkube, "Client", partial(ApiServer, 403, {"message": "you may not", "code": 403}))
    with pytest.raises(pulumi.RunError, match="Cluster it does not say whether it has a namespace gloo-system: you may not"):
        Recorder().run(lambda: ExistingCluster("it", {"cluster_name": "it", "context": "local"}).owns_namespace("gloo-system"))


class ApiServer:
    """A client whose API server gives one answer."""

    def __init__(self, status: int, body: dict[str, Any], **_: object) -> None:
        self.status, self.body = status, body

    def get(self, kind: type[Any], name: str) -> Any:
        if self.status != 200:
            raise ApiError(response=httpx.Response(self.status, json=self.body, request=httpx.Request("GET", "https://local")))
        return kind.from_dict({"kind": "Namespace", **self.body})
