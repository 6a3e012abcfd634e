"""The configuration: what is accepted, and that everything else is refused before anything is created, by key, value and what is allowed."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from program_recorder import Recorder
from program_runs import default_config, run_program

from service_failover import config
from service_failover.apps import AppSettings, HealthFilter, TierMember
from service_failover.cluster_settings import ClusterKind, ClusterSettings
from service_failover.config import ConfigError, HealthCheckSettings, Settings, parse, reached_epoch, running_edition, with_defaults
from service_failover.edition_settings import Edition, EnterpriseSettings
from service_failover.names import CONTROL_PLANE_IMAGE, NODE_IMAGE
from service_failover.reading import duration

pytestmark = pytest.mark.unit


def changed(path: str, value: Any) -> dict[str, Any]:
    """The default configuration with one value set, as `pulumi config set --path` does; `...` removes it."""
    document: Any = copy.deepcopy(default_config())
    place, *steps = path.replace("[", ".[").split(".")
    keys = [place, *steps]
    inner = document
    for key in keys[:-1]:
        inner = inner[_step(key)]
    if value is ...:
        del inner[_step(keys[-1])]
    else:
        inner[_step(keys[-1])] = value
    assert isinstance(document, dict)
    return document


def _step(key: str) -> str | int:
    return int(key.strip("[]")) if key.startswith("[") else key


def test_the_defaults_are_the_guide() -> None:
    settings = parse(default_config())
    assert [cluster.name for cluster in settings.clusters] == ["local", "remote"], "the guide's two clusters"
    assert settings.management.name == "local", "Gloo Federation runs in the local cluster"
    assert settings.primary == AppSettings(color="blue", cluster="local"), "blue serves from the local cluster"
    assert settings.tiers == ((TierMember(cluster="remote", weight=None, colors=("green",)),),), "green takes over from the remote one"
    assert settings.health_check == HealthCheckSettings(path="/health", interval="1s", timeout="1s", unhealthy_threshold=1, healthy_threshold=1), (
        "the guide's path and numbers"
    )
    assert settings.control_plane_image == CONTROL_PLANE_IMAGE, "the image of this version, as Pulumi.yaml says"


def test_a_third_cluster_and_a_third_tier_are_accepted() -> None:
    document = default_config()
    document["clusters"].append({"name": "far", "region": "eu-west-1", "zone": "eu-west-1a"})
    document["apps"].append({"color": "green", "cluster": "far"})
    settings = parse(document)
    assert settings.clusters[2] == ClusterSettings(name="far", kind=ClusterKind.EMBEDDED, region="eu-west-1", zone="eu-west-1a", management=False)
    assert [[member.cluster for member in tier] for tier in settings.tiers] == [["remote"], ["far"]], "tiers keep the order in which apps are listed"


def test_a_cluster_that_exists_is_named_by_its_context() -> None:
    document = default_config()
    document["clusters"][1] = {
        "name": "remote",
        "kind": "existing",
        "context": "arn:aws:eks:us-east-1:1:cluster/far",
        "server": "https://10.0.0.1:6443",
    }
    remote = parse(document).clusters[1]
    assert remote.context == "arn:aws:eks:us-east-1:1:cluster/far", "contexts have any form"
    assert remote.server == "https://10.0.0.1:6443", "other clusters may reach the API server by another address than this machine"
    document["clusters"][1] = {"name": "remote", "kind": "existing"}
    assert parse(document).clusters[1].context == "remote", "the default is the cluster's name"


def kind_clusters(*ports: int | None, proxy_port: int = 8080) -> dict[str, Any]:
    """A kind cluster for each host port; None names none."""
    clusters = [{"name": f"c{index}", "region": "r", "zone": "z", **({"hostPort": port} if port else {})} for index, port in enumerate(ports)]
    clusters[0]["management"] = True
    apps = [{"color": "blue", "cluster": "c0"}, {"color": "green", "cluster": "c1"}]
    return default_config() | {"clusterKind": "kind", "clusters": clusters, "apps": apps, "proxyPort": proxy_port}


def test_kind_clusters_get_host_ports_one_after_the_other() -> None:
    assert [cluster.host_port for cluster in parse(kind_clusters(None, None)).clusters] == [8080, 8081], "proxyPort, and one more for each place"
    assert [cluster.host_port for cluster in parse(kind_clusters(None, 9000, None)).clusters] == [8080, 9000, 8082], "one that is named is taken"
    assert [cluster.host_port for cluster in parse(default_config()).clusters] == [0, 0], "an embedded cluster has addresses"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (kind_clusters(8081, None), ": 8081 is used twice, by clusters[0] too; each needs its own"),
        (kind_clusters(None, None, proxy_port=65535), ": 65536 is not allowed; allowed: a whole number from 1 to 65535"),
    ],
)
def test_two_kind_clusters_cannot_share_a_host_port(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(document)
    assert refused.value.problems == [f"clusters[1].hostPort (default: proxyPort, and one more for each place in the list){problem}"]


def test_kind_clusters_have_a_name_and_an_image_by_default() -> None:
    kind = parse(default_config()).kind
    assert kind.node_image == NODE_IMAGE, "the component's default and the configuration's are one"
    assert "@sha256:" in kind.node_image, "a tag can be moved"
    assert (kind.cluster_prefix, kind.base_image) == ("failover", "")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("server", "10.0.0.1", 'clusters[1].server: "10.0.0.1" is not allowed; allowed: the URL of the API server, such as https://10.0.0.1:6443'),
        ("context", "", 'clusters[1].context: "" is not allowed; allowed: the name of a context in the kubeconfig'),
        ("region", "r", 'clusters[1].region: unknown key (its value is "r"); allowed: context, kind, kubeconfig, management, name, server'),
    ],
)
def test_what_a_cluster_that_exists_cannot_have_is_refused(key: str, value: str, problem: str) -> None:
    document = default_config()
    document["clusters"][1] = {"name": "remote", "kind": "existing", key: value}
    with pytest.raises(ConfigError) as refused:
        parse(document)
    assert refused.value.problems == [problem]


def four_clusters() -> dict[str, Any]:
    """Blue in the first of four clusters, an app in each of the others."""
    document = default_config()
    document["clusters"] = [{"name": name, "region": "r", "zone": "z", "management": name == "a"} for name in "abcd"]
    document["apps"] = [{"color": color, "cluster": name} for color, name in zip(("blue", "green", "yellow", "red"), "abcd", strict=True)]
    return document


def test_clusters_share_a_tier_by_weight() -> None:
    document = four_clusters() | {"tiers": [[{"cluster": "c", "weight": 3}, {"cluster": "b", "weight": 1}], [{"cluster": "d"}]]}
    settings = parse(document)
    assert settings.tiers == (
        (TierMember(cluster="c", weight=3, colors=("yellow",)), TierMember(cluster="b", weight=1, colors=("green",))),
        (TierMember(cluster="d", weight=None, colors=("red",)),),
    ), "tiers, and clusters in them, keep their order"
    assert settings.weighted, "a weight needs weighted localities in the Upstream"


def test_all_apps_of_a_cluster_but_the_primary_take_over_together() -> None:
    document = default_config()
    document["apps"] += [{"color": "yellow", "cluster": "remote"}, {"color": "red", "cluster": "local"}]
    assert parse(document).tiers == (
        (TierMember(cluster="remote", weight=None, colors=("green", "yellow")),),
        (TierMember(cluster="local", weight=None, colors=("red",)),),
    ), "the primary's own cluster may have another app to take over"


TIERS_REFUSED: list[tuple[Any, str]] = [
    ("b", 'tiers: "b" is not allowed; allowed: a list of lists, or [] for the default'),
    ([[]], "tiers[0]: [] is not allowed; allowed: a list with at least one entry"),
    ([{"cluster": "b"}], 'tiers[0]: {"cluster": "b"} is not allowed; allowed: a list with at least one entry'),
    ([["b"]], 'tiers[0][0]: "b" is not allowed; allowed: a mapping of keys to values'),
    ([[{"cluster": "a"}]], 'tiers[0][0].cluster: "a" has no app that could take over; allowed: b, c, d'),
    ([[{"cluster": "b"}], [{"cluster": "b"}]], 'tiers[1][0].cluster: "b" is in tiers[0][0].cluster already; a cluster takes over in one tier'),
    ([[{"cluster": "b"}, {"cluster": "c"}]], "tiers: the apps in d never take over; add these clusters to a tier, or remove the apps"),
    ([[{"cluster": "b", "weight": 0}]], "tiers[0][0].weight: 0 is not allowed; allowed: a whole number from 1 to 1000"),
    ([[{"cluster": "b", "wait": 1}]], "tiers[0][0].wait: unknown key (its value is 1); allowed: cluster, weight"),
]


@pytest.mark.parametrize(("tiers", "problem"), TIERS_REFUSED, ids=[str(tiers)[:60] for tiers, _ in TIERS_REFUSED])
def test_tiers_that_cannot_be_are_refused(tiers: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(four_clusters() | {"tiers": tiers})
    assert refused.value.problems == [problem], "one mistake gives one line, and it names key, value and what is allowed"


def test_an_app_may_answer_while_it_is_unhealthy() -> None:
    settings = parse(changed("apps[0].healthFilter", "path"))
    assert settings.primary.health_filter is HealthFilter.PATH, "what was asked for"
    assert settings.apps[1].health_filter is HealthFilter.EVERYTHING, "each app has its own, and the guide's is the default"


REFUSED: list[tuple[str, Any, str]] = [
    ("clusterKind", "dev", 'clusterKind: "dev" is not allowed; allowed: embedded, kind, existing'),
    ("edition", "pro", 'edition: "pro" is not allowed; allowed: open, enterprise'),
    ("glooVersion", "1.22", 'glooVersion: "1.22" is not allowed; allowed: a version, such as 1.22.0'),
    (
        "glooRepository",
        "http://charts.example",
        'glooRepository: "http://charts.example" is not allowed; '
        'allowed: the https:// URL of a Helm repository with both charts, or "" for Solo\'s two',
    ),
    ("clusterKind", ..., "clusterKind: missing; allowed: embedded, kind, existing"),
    (
        "proxyport",
        8081,
        "proxyport: unknown key (its value is 8081); "
        "allowed: apps, certificates, clusterKind, clusters, controlPlaneImage, edition, "
        "glooRepository, glooVersion, healthCheck, kind, licenseKey, monitoring, proxyPort, replicas, tiers",
    ),
    ("proxyPort", 0, "proxyPort: 0 is not allowed; allowed: a whole number from 1 to 65535"),
    ("proxyPort", "http", 'proxyPort: "http" is not allowed; allowed: a whole number from 1 to 65535'),
    ("proxyPort", True, "proxyPort: true is not allowed; allowed: a whole number from 1 to 65535"),
    ("clusters", [], "clusters: [] is not allowed; allowed: a list with at least one entry"),
    ("clusters", "local", 'clusters: "local" is not allowed; allowed: a list with at least one entry'),
    ("clusters[1]", "remote", 'clusters[1]: "remote" is not allowed; allowed: a mapping of keys to values'),
    ("clusters[1].name", "Remote", "clusters[1].name: \"Remote\" is not allowed; allowed: 1 to 40 characters: a-z, 0-9 and inner '-'"),
    ("clusters[1].name", "local", 'clusters[1].name: "local" is used twice, by clusters[0] too; each needs its own'),
    ("clusters[1].zone", ..., "clusters[1].zone: missing; allowed: 1 to 63 characters: letters, digits and inner '-', '_' or '.'"),
    (
        "clusters[1].region",
        "us east",
        "clusters[1].region: \"us east\" is not allowed; allowed: 1 to 63 characters: letters, digits and inner '-', '_' or '.'",
    ),
    ("clusters[1].nodes", 3, "clusters[1].nodes: unknown key (its value is 3); allowed: kind, management, name, region, zone"),
    ("clusters[1].kind", "aks", 'clusters[1].kind: "aks" is not allowed; allowed: embedded, kind, existing'),
    ("clusters[1].context", "far", 'clusters[1].context: unknown key (its value is "far"); allowed: kind, management, name, region, zone'),
    ("clusters[1].hostPort", 8080, "clusters[1].hostPort: unknown key (its value is 8080); allowed: kind, management, name, region, zone"),
    ("kind.clusterPrefix", "My_", "kind.clusterPrefix: \"My_\" is not allowed; allowed: 1 to 20 characters: a-z, 0-9 and inner '-'"),
    ("kind.nodeImage", "", 'kind.nodeImage: "" is not allowed; allowed: an image, such as kindest/node:v1.37.0'),
    ("kind.image", "i", 'kind.image: unknown key (its value is "i"); allowed: baseImage, clusterPrefix, nodeImage'),
    ("replicas", 0, "replicas: 0 is not allowed; allowed: a whole number from 1 to 9"),
    ("clusters[0].management", "yes", 'clusters[0].management: "yes" is not allowed; allowed: true, false'),
    ("clusters[0].management", False, "clusters: management is true for []; it must be for exactly one cluster, where Gloo Federation is to run"),
    (
        "clusters[1].management",
        True,
        'clusters: management is true for ["local", "remote"]; it must be for exactly one cluster, where Gloo Federation is to run',
    ),
    ("apps[0].color", "Red", "apps[0].color: \"Red\" is not allowed; allowed: 1 to 30 characters: a-z, 0-9 and inner '-', such as blue"),
    ("apps[0].colour", "blue", 'apps[0].colour: unknown key (its value is "blue"); allowed: cluster, color, healthFilter'),
    ("apps[0].healthFilter", "header", 'apps[0].healthFilter: "header" is not allowed; allowed: everything, path'),
    ("apps[1].cluster", "far", 'apps[1].cluster: "far" is not one of the clusters; allowed: local, remote'),
    ("apps", [{"color": "blue", "cluster": "local"}], 'apps: "blue" is alone; failover needs a second app'),
    (
        "apps",
        [{"color": "blue", "cluster": "local"}, {"color": "blue", "cluster": "local"}],
        "apps[1]: blue in local is there already, as apps[0]; give it another color or another cluster",
    ),
    ("healthCheck", 1, "healthCheck: 1 is not allowed; allowed: a mapping of keys to values"),
    ("healthCheck.interval", "-1s", 'healthCheck.interval: "-1s" is not allowed; allowed: a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms'),
    ("healthCheck.timeout", "0s", 'healthCheck.timeout: "0s" is not allowed; allowed: a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms'),
    ("healthCheck.timeout", 1, "healthCheck.timeout: 1 is not allowed; allowed: a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms"),
    ("healthCheck.healthyThreshold", 0, "healthCheck.healthyThreshold: 0 is not allowed; allowed: a whole number from 1 to 100"),
    ("healthCheck.path", "health", 'healthCheck.path: "health" is not allowed; allowed: a path, such as /health'),
    ("healthCheck.path", "/a b", 'healthCheck.path: "/a b" is not allowed; allowed: a path, such as /health'),
    (
        "healthCheck.host",
        "a",
        'healthCheck.host: unknown key (its value is "a"); allowed: healthyThreshold, interval, path, timeout, unhealthyThreshold',
    ),
    ("controlPlaneImage", "", 'controlPlaneImage: "" is not allowed; allowed: an image, such as servicefailover/controlplane:0.1.0'),
    ("certificates", 2, "certificates: 2 is not allowed; allowed: a mapping of keys to values"),
    ("certificates.rotationEpoch", 0, "certificates.rotationEpoch: 0 is not allowed; allowed: a whole number from 1 to 1000000"),
    ("certificates.validityHours", "90d", 'certificates.validityHours: "90d" is not allowed; allowed: a whole number from 1 to 876000'),
    (
        "certificates.earlyRenewalHours",
        2160,
        "certificates.earlyRenewalHours: 2160 is not allowed; allowed: less than validityHours (2160), or every update would renew",
    ),
    (
        "certificates.authorityEarlyRenewalHours",
        24,
        "certificates.authorityEarlyRenewalHours: 24 is not allowed; "
        "allowed: at least validityHours (2160), or a certificate could outlive that of its authority",
    ),
    (
        "certificates.epoch",
        2,
        "certificates.epoch: unknown key (its value is 2); allowed: "
        "authorityEarlyRenewalHours, authorityValidityHours, controlPlaneEpoch, earlyRenewalHours, rotationEpoch, validityHours",
    ),
]


@pytest.mark.parametrize(("path", "value", "problem"), REFUSED, ids=[f"{path}={value}"[:60] for path, value, _ in REFUSED])
def test_what_is_not_allowed_is_refused_by_key_and_value(path: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(changed(path, value))
    assert refused.value.problems == [problem], "one mistake gives one line, and it names key, value and what is allowed"


@pytest.mark.parametrize(("reached", "epoch"), [(None, 7), (1, 1), (1, 2), (4, 5)])
def test_a_rotation_is_one_step_from_the_last(reached: int | None, epoch: int) -> None:
    assert parse(changed("certificates.rotationEpoch", epoch), reached_epoch=reached).certificates.rotation_epoch == epoch


@pytest.mark.parametrize(("reached", "epoch"), [(1, 3), (3, 2), (3, 5)])
def test_two_steps_at_once_or_one_back_are_refused(reached: int, epoch: int) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(changed("certificates.rotationEpoch", epoch), reached_epoch=reached)
    (problem,) = refused.value.problems
    assert problem.startswith(f"certificates.rotationEpoch: {epoch} is not allowed; allowed: {reached}, or {reached + 1} to rotate."), (
        "what runs does not trust certificates of that epoch"
    )


@pytest.mark.parametrize(
    ("stored", "reached"),
    [({}, None), ({"rotationEpoch": 2}, 2), ({"proxyUrl": "http://127.77.192.1:8080"}, 1)],
    ids=["never up", "at the second", "from before there were epochs"],
)
def test_the_step_is_counted_from_what_the_stack_says_of_itself(stored: dict[str, Any], reached: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(Recorder, "call", lambda _, args: asked.append((args.token, args.args)) or {"outputs": stored})
    found: list[int | None] = []
    Recorder().run(lambda: found.append(reached_epoch()))
    assert found == [reached]
    assert asked == [("pulumi:pulumi:readStackOutputs", {"name": "organization/service-failover/test"})], "its own outputs"


def test_a_skipped_epoch_ends_the_program_before_anything_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "call", lambda *_: {"outputs": {"rotationEpoch": 1}})
    recorded = []
    with pytest.raises(
        pulumi.RunError, match=r"nothing was changed\.\n  - certificates\.rotationEpoch: 3 is not allowed; allowed: 1, or 2 to rotate"
    ):
        recorded.append(run_program(changes={"certificates": {"rotationEpoch": 3}}))
    assert not recorded, "the program did not run to its end"


def test_a_part_of_a_mapping_leaves_the_rest_at_its_default() -> None:
    declared = {"healthCheck": {"type": "object", "default": {"interval": "1s", "timeout": "1s"}}, "apps": {"default": []}}
    written = {"healthCheck": {"interval": "2s"}, "apps": [1], "other": {"a": 1}}
    assert with_defaults(written, declared=declared) == {"healthCheck": {"interval": "2s", "timeout": "1s"}, "apps": [1], "other": {"a": 1}}


def test_all_problems_are_listed_at_once() -> None:
    document = changed("apps[0].color", "Red") | {"proxyPort": -1, "colour": "blue"}
    with pytest.raises(ConfigError) as refused:
        parse(document)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["apps[0].color", "proxyPort", "colour"]


def test_the_value_of_a_secret_key_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(default_config() | {"password": "hunter2"}, secret_keys=frozenset({"password"}))
    assert "hunter2" not in str(refused.value), "an error message ends up in logs"
    assert "password: unknown key (its value is [secret])" in str(refused.value)


def enterprise(**changes: Any) -> dict[str, Any]:
    """A configuration of the enterprise edition that is accepted."""
    clusters = [{"name": "local", "management": True}, {"name": "remote"}]
    return default_config() | {"edition": "enterprise", "licenseKey": "hunter2", "clusterKind": "existing", "clusters": clusters} | changes


SECRET = frozenset({"licenseKey"})


def test_the_enterprise_edition_is_accepted_with_a_secret_licence_key() -> None:
    settings = parse(enterprise(), secret_keys=SECRET)
    assert settings.edition is Edition.ENTERPRISE
    assert settings.enterprise == EnterpriseSettings(license_key="hunter2", version="1.22.0", repository="")
    assert "hunter2" not in repr(settings), "a traceback or a log may hold it"


@pytest.mark.parametrize("edition", ["open", "enterprise"])
def test_a_licence_key_in_plain_text_is_refused_with_the_command_that_sets_it_right(edition: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(enterprise(edition=edition))
    assert refused.value.problems == [
        "licenseKey: is stored as plain text; store it as a secret: pulumi config set --secret service-failover:licenseKey"
    ], "it would be in a file that is committed, whichever edition runs"


def test_the_enterprise_edition_needs_a_licence_key() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(enterprise(licenseKey=""), secret_keys=SECRET)
    assert refused.value.problems == [
        'licenseKey: missing; edition "enterprise" needs the licence key of Gloo Enterprise: pulumi config set --secret service-failover:licenseKey'
    ]


@pytest.mark.parametrize("key", ["hunter2 and more", 2, ["hunter2"]])
@pytest.mark.parametrize("secret_keys", [SECRET, frozenset[str]()])
def test_what_cannot_be_a_licence_key_is_refused_and_not_shown(key: Any, secret_keys: frozenset[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(enterprise(edition="open", licenseKey=key), secret_keys=secret_keys)
    assert refused.value.problems == ["licenseKey: [secret] is not allowed; allowed: the licence key, without spaces"], (
        "even one that is no secret yet"
    )


def test_the_enterprise_edition_is_refused_on_embedded_clusters() -> None:
    embedded = {"kind": "embedded", "region": "r", "zone": "z"}
    clusters = [{"name": "local", "management": True}, {"name": "remote", **embedded}]
    with pytest.raises(ConfigError) as refused:
        parse(enterprise(clusters=clusters), secret_keys=SECRET)
    (problem,) = refused.value.problems
    assert problem.startswith('edition: "enterprise" needs clusters that run containers, and these are embedded: clusters[1] (remote);')
    assert "set clusterKind to another kind (allowed: kind, existing)" in problem, "the other key, and what to write there"
    assert problem.endswith("or edition to open"), "or the other way out"


def test_all_that_the_enterprise_edition_lacks_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(default_config() | {"edition": "enterprise"})
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["licenseKey", "edition"]


@pytest.mark.parametrize("repository", ["https://charts.example/solo", "http://127.0.0.1:8879/charts", "http://localhost:8879", ""])
def test_charts_may_come_from_a_mirror(repository: str) -> None:
    assert parse(default_config() | {"glooRepository": repository}).enterprise.repository == repository


@pytest.mark.parametrize("preview", [False, True])
def test_a_wrong_configuration_ends_the_program_before_anything_is_created(preview: bool) -> None:
    recorded = []
    with pytest.raises(pulumi.RunError) as ended:
        recorded.append(run_program(preview=preview, changes={"proxyPort": -1, "color": "blue"}))
    message = str(ended.value)
    assert "refused; nothing was changed" in message
    assert "  - proxyPort: -1 is not allowed" in message, "every problem has its line"
    assert "  - color: unknown key" in message, "every problem has its line"
    assert "pulumi config set --stack test --path 'service-failover:<key>' <value>" in message, "the next command"
    assert not recorded, "the program did not run to its end"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1s", "1s"), ("250ms", "0.25s"), ("0.50s", "0.5s"), ("10s", "10s"), ("100s", "100s"), ("3600s", "3600s"), ("1ms", "0.001s")],
)
def test_durations_become_those_of_protobuf(written: str, meant: str) -> None:
    assert duration(written) == meant


@pytest.mark.parametrize("written", ["", "1", "s", "-1s", "0s", "0ms", "3601s", "1m", "1 s", "1e3s", None, 1])
def test_what_is_no_duration_is_refused(written: object) -> None:
    assert duration(written) is None


def test_settings_are_frozen() -> None:
    settings: Settings = parse(default_config())
    with pytest.raises(AttributeError):
        settings.proxy_port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("running", "wanted"), [(Edition.OPEN, "enterprise"), (Edition.ENTERPRISE, "open")])
def test_a_stack_that_is_up_does_not_change_its_edition(running: Edition, wanted: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(enterprise(edition=wanted), secret_keys=SECRET, running=running)
    assert refused.value.problems == [
        f'edition: "{wanted}", but the stack is up with "{running}", and neither takes over from the other; '
        f"make down, then make up; or keep {running}"
    ], "Helm would refuse what is there already, and Pulumi delete the definitions that Helm found there"
    assert parse(enterprise(edition=running.value), secret_keys=SECRET, running=running).edition is running


def test_outputs_that_are_being_written_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [RuntimeError("failed to load checkpoint: EOF"), RuntimeError("failed to load checkpoint: EOF"), {"edition": "enterprise"}]

    def invoke(*_: object) -> SimpleNamespace:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(value={"outputs": answer})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(config, "READ_PAUSES", (0.0, 0.0))
    assert running_edition() is Edition.ENTERPRISE, "the engine was writing them, twice"
    answers += [RuntimeError("no such stack")]
    with pytest.raises(RuntimeError, match="no such stack"):
        running_edition()
    answers += [RuntimeError("failed to load checkpoint: EOF")] * 3
    with pytest.raises(RuntimeError, match="failed to load checkpoint"):
        running_edition()


@pytest.mark.parametrize(
    ("stored", "running"),
    [({}, None), ({"edition": "enterprise"}, Edition.ENTERPRISE), ({"proxyUrl": "http://127.77.192.1:8080"}, Edition.OPEN)],
    ids=["never up", "it says so", "from before there were two"],
)
def test_the_stack_says_which_edition_it_is_up_with(stored: dict[str, Any], running: Edition | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "call", lambda *_: {"outputs": stored})
    found: list[Edition | None] = []
    Recorder().run(lambda: found.append(running_edition()))
    assert found == [running]
