"""Command lines and configuration files of a cluster's parts: safe by what they say and by what they do not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from embedded.kubeconfig import kubeconfig
from embedded.layout import StateDir
from embedded.network import Network, Port
from embedded.node_config import Programs, node_agent_config
from embedded.parts import CONTROLLERS, STOP_ORDER, Part, egress_selector, part_from, parts
from embedded.rbac import node_agent_rbac
from embedded.spec import ClusterSpec

pytestmark = pytest.mark.unit

STATE = StateDir(Path("/state/local"))
PROGRAMS = Programs(
    kube_node=Path("/tools/kube-node"),
    envoy=Path("/tools/envoy"),
    http_echo=Path("/tools/http-echo"),
    python=Path("/venv/python"),
    checkout=Path("/src"),
)
SPEC = ClusterSpec(name="local", region="r1", zone="z1")


def all_parts() -> dict[str, Part]:
    return {part.name: part for part in parts(state=STATE, network=Network(77), kube_node="/tools/kube-node")}


def flags(name: str) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in all_parts()[name].argv if word.startswith("--") and "=" in word)


def test_every_part_says_in_its_command_line_whose_it_is() -> None:
    for part in all_parts().values():
        assert any("/state/local/" in word for word in part.argv), f"{part.name}: a process without its state directory could not be told from others"


def test_a_key_is_named_by_its_file_and_never_given() -> None:
    for part in all_parts().values():
        for word in part.argv:
            assert "BEGIN" not in word, part.name
            if re.match(r"--[a-z-]*(keyfile|key-file|certfile|cert-file|cafile|ca-file|kubeconfig)=", word):
                assert word.split("=", 1)[1].startswith("/state/local/pki/"), f"{part.name}: {word}"


def test_no_socket_is_opened_outside_the_clusters_loopback_address() -> None:
    assert flags("kube-apiserver")["bind-address"] == "127.77.0.1"
    assert flags("kube-controller-manager")["bind-address"] == "127.77.0.1"
    assert flags("kube-scheduler")["bind-address"] == "127.77.0.1"
    etcd = flags("etcd")
    for name in ("listen-client-urls", "listen-peer-urls"):
        assert etcd[name].startswith("https://127.77.0.1:"), f"etcd's default for {name} is shared by all clusters"


def test_nobody_gets_in_without_a_certificate() -> None:
    api = flags("kube-apiserver")
    assert api["anonymous-auth"] == "false"
    assert api["authorization-mode"] == "Node,RBAC", "AlwaysAllow is the program's default"
    assert "NodeRestriction" in api["enable-admission-plugins"], "the Node authorizer alone lets a node write to other nodes' objects"
    etcd = flags("etcd")
    assert (etcd["client-cert-auth"], etcd["peer-client-cert-auth"]) == ("true", "true")
    assert etcd["trusted-ca-file"] == "/state/local/pki/etcd-ca.crt", "with the cluster's authority every client of the API could read etcd"


def test_what_api_objects_hold_is_not_what_sockets_use() -> None:
    api = flags("kube-apiserver")
    assert api["advertise-address"] == "10.77.0.1", "the API server refuses loopback addresses in endpoints"
    assert api["service-cluster-ip-range"] == "10.77.128.0/18"


def test_the_api_server_dials_into_the_cluster_only_through_the_node_agent() -> None:
    selection = egress_selector(STATE, Network(77))["egressSelections"]
    assert [entry["name"] for entry in selection] == ["cluster"], "etcd is dialled as it stands"
    assert selection[0]["connection"]["transport"]["tcp"]["url"] == "https://127.77.0.1:10250"
    assert flags("kube-apiserver")["egress-selector-config-file"] == str(STATE.egress_selector)


def test_controllers_that_the_guide_needs_run() -> None:
    listed = flags("kube-controller-manager")["controllers"].split(",")
    assert len(listed) == len(set(listed)) == len(CONTROLLERS)
    for name in ("deployment", "replicaset", "endpointslice", "garbage-collector", "namespace", "serviceaccount", "serviceaccount-token"):
        assert f"{name}-controller" in listed, name


def test_each_part_is_asked_at_its_own_socket_and_for_itself_only() -> None:
    ports = {name: part.endpoint.port for name, part in all_parts().items()}
    assert len(set(ports.values())) == len(ports)
    assert set(ports.values()) == {int(port) for port in Port} - {int(Port.ETCD_PEER)}
    assert "exclude=etcd" in all_parts()["kube-apiserver"].health, "an etcd that hangs must not have the API server killed"
    assert all_parts()["etcd"].endpoint.ca.endswith("etcd-ca.crt")


def test_every_part_stops_and_pods_before_the_api_and_the_api_before_etcd() -> None:
    names = [name for group in STOP_ORDER for name in group]
    assert sorted(names) == sorted(all_parts())
    assert names.index("node-agent") < names.index("kube-apiserver") < names.index("etcd")
    longest = sum(max(all_parts()[name].grace for name in group) for group in STOP_ORDER)
    assert longest <= 8, "deleting two clusters has to fit into a few seconds"


def test_parts_survive_being_written_and_read() -> None:
    for part in all_parts().values():
        assert part_from(json.loads(json.dumps(part.to_json()))) == part


def test_a_kubeconfig_is_yaml_with_one_context_and_always_the_same_bytes() -> None:
    made = [
        kubeconfig(
            cluster="local",
            context="embedded-local",
            user="admin",
            server="https://127.77.0.1:6443",
            realise="10.64.0.0/10=127.64.0.0/10",
            ca="CA",
            certificate="C",
            key="K",
        )
        for _ in range(2)
    ]
    assert made[0] == made[1], "a change would restart the cluster and be a diff in Pulumi's state"
    document = yaml.safe_load(made[0])
    assert document["current-context"] == "embedded-local"
    assert document["clusters"][0]["cluster"]["server"] == "https://127.77.0.1:6443"
    assert document["contexts"][0]["context"] == {"cluster": "local", "user": "admin", "namespace": "default"}


def test_the_node_agent_is_told_its_addresses_labels_and_images() -> None:
    config = node_agent_config(spec=SPEC, state=STATE, network=Network(77), programs=PROGRAMS)
    assert (config["nodeName"], config["listen"], config["nodeAddress"]) == ("local-node", "127.77.0.1:10250", "10.77.0.1")
    assert config["labels"]["topology.kubernetes.io/zone"] == "z1"
    assert config["images"]["envoyproxy/envoy"] == {"entrypoint": ["/tools/envoy"]}
    assert config["images"]["servicefailover/controlplane"] == {"entrypoint": ["/venv/python", "-m", "controlplane"], "env": {"PYTHONPATH": "/src"}}
    assert config["clientCaFile"] == "/state/local/pki/node-agent-client-ca.crt", "with the cluster's authority every client could exec"


def test_the_node_agent_gets_no_right_it_could_read_secrets_with() -> None:
    documents = node_agent_rbac("local-node")
    rules = [rule for document in documents.values() for rule in document.get("rules", [])]
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert resources == {"endpointslices", "services/status"}, "secrets come by the Node authorizer, for this node's pods only"
    assert not any("*" in rule["verbs"] for rule in rules)
    binding = next(document for document in documents.values() if document["kind"] == "ClusterRoleBinding")
    assert [subject["name"] for subject in binding["subjects"]] == ["system:node:local-node"], "this node, not every node"
