"""What `pulumi preview` announces for each change of an input: changed in place where that is possible, and nothing that a user would not expect."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import PROJECT, LiveStack

pytestmark = pytest.mark.e2e

LOCAL = {"name": "local", "region": "us-east-1", "zone": "us-east-1a", "management": True}
REMOTE = {"name": "remote", "region": "us-east-1", "zone": "us-east-1c"}
FAR = {"name": "far", "region": "eu-west-1", "zone": "eu-west-1a"}
BLUE, GREEN = {"color": "blue", "cluster": "local"}, {"color": "green", "cluster": "remote"}
APP = {"", "-deployment", "-service"}
"""What the names of an app's resources end with."""
TLS_SECRET = {"", "-key", "-request", "-certificate", "-secret"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the default configuration, and the resources that it creates, updates and deletes."""

    config: dict[str, Any]
    update: set[str] = field(default_factory=set)
    create: set[str] = field(default_factory=set)
    delete: set[str] = field(default_factory=set)
    creates_cluster: str = ""
    deletes_cluster: str = ""


def app(name: str) -> set[str]:
    return {name + end for end in APP}


CHANGES = {
    "the checked path": Change(config={"healthCheck": {"path": "/"}}, update={"primary-upstream"}),
    "the interval": Change(config={"healthCheck": {"interval": "2s"}}, update={"primary-upstream"}),
    "the proxies' port": Change(config={"proxyPort": 8081}, update={"local-gloo-proxy-service", "remote-gloo-proxy-service"}),
    "the image": Change(
        config={"controlPlaneImage": "servicefailover/controlplane:next"},
        update={"local-gloo-deployment", "remote-gloo-deployment", "gloo-fed-deployment"},
    ),
    "the replicas": Change(
        config={"replicas": 2},
        update={f"{part}-deployment" for part in ("local-gloo", "local-gloo-proxy", "remote-gloo", "remote-gloo-proxy", "gloo-fed")},
        create={f"{part}-budget" for part in ("local-gloo", "local-gloo-proxy", "remote-gloo", "remote-gloo-proxy", "gloo-fed")},
    ),
    "who scrapes": Change(
        config={"monitoring": {"scrapedBy": "prometheus"}},
        update={"local-gloo-proxy-deployment", "remote-gloo-proxy-deployment"},
        create={f"{cluster}-gloo-metrics-client{end}" for cluster in ("local", "remote") for end in TLS_SECRET},
    ),
    "an app's health filter": Change(config={"apps": [BLUE | {"healthFilter": "path"}, GREEN]}, update={"local-blue-deployment"}),
    "a tier's weight": Change(config={"tiers": [[{"cluster": "remote", "weight": 3}]]}, update={"primary-upstream", "failover-scheme"}),
    "the order of the clusters": Change(config={"clusters": [REMOTE, LOCAL]}),
    "one app more": Change(
        config={"apps": [BLUE, GREEN, {"color": "red", "cluster": "remote"}]},
        update={"remote-failover-gateway-gateway", "failover-scheme"},
        create=app("remote-red"),
    ),
    "another color": Change(
        config={"apps": [BLUE, {"color": "red", "cluster": "remote"}]},
        update={"remote-failover-gateway-gateway", "failover-scheme"},
        create=app("remote-red"),
        delete=app("remote-green"),
    ),
    "a third cluster": Change(
        config={"clusters": [LOCAL, REMOTE, FAR], "apps": [BLUE, GREEN, {"color": "red", "cluster": "far"}]},
        update={"failover-scheme"},
        creates_cluster="far",
    ),
    "a cluster less": Change(
        config={"clusters": [LOCAL], "apps": [BLUE, {"color": "red", "cluster": "local"}]},
        update={"failover-scheme"},
        create=app("local-red"),
        deletes_cluster="remote",
    ),
}


def preview(stack: LiveStack, config: dict[str, Any], folder: Path) -> dict[str, set[str]]:
    """The names of the resources by what would be done to them, of a preview with `config` in place of what the stack's file says."""
    document = yaml.safe_load((PROJECT / f"Pulumi.{stack.name}.yaml").read_text()) | {
        "config": {stack.config + key: value for key, value in config.items()}
    }
    file = folder / "Pulumi.changed.yaml"
    file.write_text(yaml.safe_dump(document))
    done = stack.pulumi("preview", "--json", "--config-file", str(file), "-s", stack.name)
    assert done.returncode == 0, f"the change can be made: {done.stdout[-3000:]}{done.stderr[-2000:]}"
    found: dict[str, set[str]] = defaultdict(set)
    for step in json.loads(done.stdout)["steps"]:
        found[step["op"]].add(step["urn"].rpartition("::")[2])
    assert found.pop("same"), "the stack that is up is the one that is previewed"
    return found


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_touches_what_a_user_would_expect(stack: LiveStack, change: Change, tmp_path: Path) -> None:
    found = preview(stack, change.config, tmp_path)
    assert found.keys() <= {"create", "update", "delete"}, f"nothing is replaced: {dict(found)}"
    assert found["update"] == change.update, "changed in place"
    created, deleted = found["create"], found["delete"]
    if change.creates_cluster:
        assert {name.split("-")[0] for name in created} == {change.creates_cluster}, "the new cluster and what is in it, nothing else"
        assert f"{change.creates_cluster}-cluster" in created, "the cluster itself"
    elif change.deletes_cluster:
        assert {name.split("-")[0] for name in deleted} == {change.deletes_cluster}, "the old cluster and what is in it, nothing else"
        gateway = {name for name in created if name.startswith("local-failover")}
        assert created - gateway == change.create, "the app that takes the other's place"
        assert "local-failover-gateway-gateway" in gateway, "its cluster now has a failover gateway"
    else:
        assert (created, deleted) == (change.create, change.delete), "nothing comes or goes besides"


def test_another_zone_keeps_the_cluster_and_all_that_is_in_it(stack: LiveStack, tmp_path: Path) -> None:
    found = preview(stack, {"clusters": [LOCAL, REMOTE | {"zone": "us-east-1d"}]}, tmp_path)
    # Until the command has run, Pulumi does not know that the kubeconfig stays what it is; so all that uses it is announced as an update, of nothing.
    assert found.keys() == {"update"}, f"nothing is replaced, created or deleted: {dict(found)}"
    assert "remote-cluster" in found["update"], "the node gets its label"
    assert not [name for name in found["update"] if name.startswith("local-") and name != "local-registration-kubeconfig"], "the other stays as it is"
