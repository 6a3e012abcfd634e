"""Two real clusters side by side: what a user of them sees, who gets in, and how each part comes back."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest
import yaml
from conftest import Pair
from embedded_support import ENVIRONMENT, PARTS, Driven, related, until

import toolchain
from embedded import process
from embedded.process import ProcessId

pytestmark = pytest.mark.cluster

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: echo
        image: hashicorp/http-echo:1.0.0
        args: ["-text=hello", "-listen=$(POD_IP):5678"]
        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        ports: [{containerPort: 5678}]
        readinessProbe: {httpGet: {path: /, port: 5678}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec: {selector: {app: echo}, ports: [{name: http, port: 5678}]}
"""


def endpoints(cluster: Driven) -> list[str]:
    slices = json.loads(cluster.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=echo", "-o", "json"))["items"]
    return [
        address for each in slices for endpoint in each["endpoints"] or [] if endpoint["conditions"]["ready"] for address in endpoint["addresses"]
    ]


def answer(url: str) -> str:
    return httpx.get(url, timeout=2, trust_env=False).text.strip()


@pytest.fixture(scope="module")
def echo(pair: Pair) -> Driven:
    """The first cluster, with a Deployment and a Service in it."""
    pair.local.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    pair.local.kubectl("rollout", "status", "deployment/echo", "--timeout=30s")
    return pair.local


@pytest.fixture(scope="module")
def hanging(pair: Pair) -> ProcessId:
    """The second cluster's API server, which hangs from now on. Finding that takes time, so tests with the first cluster go on meanwhile."""
    server = pair.remote.pids()["kube-apiserver"]
    process.send(server, signal.SIGSTOP)
    return server


def test_both_are_ready_within_seconds_of_their_start(pair: Pair) -> None:
    allowed = 8 * max(1.0, pair.load)  # on free cores; on a busy machine a process gets its share of them
    assert pair.seconds < allowed, f"both ready after {pair.seconds:.1f} s at {pair.load:.1f} processes a core"
    for cluster in (pair.local, pair.remote):
        status = cluster.status()
        assert status["ready"], status
        assert [part["name"] for part in status["parts"] if part["restarts"]] == [], "a part that has to be started twice is started too early"


def test_the_two_share_nothing(pair: Pair) -> None:
    octets = {cluster.status()["octet"] for cluster in (pair.local, pair.remote)}
    assert len(octets) == 2
    servers = {yaml.safe_load(text)["clusters"][0]["cluster"]["server"] for text in pair.kubeconfigs}
    assert len(servers) == 2
    certificates = {yaml.safe_load(text)["clusters"][0]["cluster"]["certificate-authority-data"] for text in pair.kubeconfigs}
    assert len(certificates) == 2, "one cluster's administrator must be nobody in the other"


def test_the_node_carries_its_region_and_zone(pair: Pair) -> None:
    labels = json.loads(pair.local.kubectl("get", "node", "local-node", "-o", "json"))["metadata"]["labels"]
    assert (labels["topology.kubernetes.io/region"], labels["topology.kubernetes.io/zone"]) == ("us-east-1", "us-east-1a")


def test_a_second_start_only_prints(pair: Pair) -> None:
    before = pair.local.pids()
    assert pair.local.start() == pair.kubeconfigs[0]
    assert pair.local.pids() == before, "nothing was started anew"
    assert pair.local.run("ensure") == "running\n"


def test_every_cluster_of_the_user_is_listed(pair: Pair) -> None:
    argv = [sys.executable, "-m", "embedded", "list"]
    listed = subprocess.run(argv, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=True).stdout
    for cluster in (pair.local, pair.remote):
        assert f"ready, {cluster.status()['server']}, {cluster.root}" in listed


def test_files_are_for_their_owner_only(pair: Pair) -> None:
    open_to_others = [str(path) for path in pair.local.root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_no_process_shows_a_key(pair: Pair) -> None:
    shown = " ".join(" ".join(process.command_line(found.pid)) for found in pair.local.pids().values())
    assert "BEGIN" not in shown
    key = yaml.safe_load(pair.kubeconfigs[0])["users"][0]["user"]["client-key-data"]
    assert key[60:120] not in shown


@pytest.mark.parametrize("port", [6443, 2379, 2380, 10250, 10257, 10259])
def test_nobody_without_a_certificate_learns_anything(pair: Pair, port: int) -> None:
    assert reply(pair, port=port, path="/metrics") in {b"401", b"403", b"refused"}


@pytest.mark.parametrize(("port", "user"), [(2379, "admin"), (2380, "admin"), (10250, "admin"), (10250, "node-agent-client")])
def test_a_client_of_the_api_is_nobody_at_etcd_and_at_the_node_agent(pair: Pair, port: int, user: str) -> None:
    assert reply(pair, port=port, path="/metrics", user=user) == b"refused", "who gets in there reads every Secret, or runs commands in every pod"


def reply(pair: Pair, *, port: int, path: str, user: str | None = None) -> bytes:
    """Status code of a request with or without a client certificate of the cluster; b"refused" when TLS ends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if user:
        context.load_cert_chain(pair.local.state.pki / f"{user}.crt", pair.local.state.pki / f"{user}.key")
    host = pair.local.status()["server"].removeprefix("https://").split(":")[0]
    try:
        with socket.create_connection((host, port), 5) as raw, context.wrap_socket(raw) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            received = connection.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b"refused"
    return received.split(b" ")[1] if received.startswith(b"HTTP/") else b"refused"


def test_kubectl_works(echo: Driven) -> None:
    assert "echo" in echo.kubectl("get", "pods", "-o", "wide")
    assert "Successfully" in echo.kubectl("describe", "pods", "-l", "app=echo"), "events of the scheduler are there"
    assert "server is listening" in echo.kubectl("logs", "deploy/echo")
    assert echo.kubectl("exec", "deploy/echo", "--", "/bin/sh", "-c", "echo $POD_IP").strip().startswith("127."), (
        "a process gets the realised address"
    )
    echo.kubectl("wait", "--for=condition=Available", "deployment/echo", "--timeout=10s")


def test_port_forward_reaches_a_pod(echo: Driven) -> None:
    argv = [str(toolchain.find("kubectl")), "--kubeconfig", str(echo.state.kubeconfig("admin")), "port-forward", "deploy/echo", ":5678"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as forward:
        try:
            assert forward.stdout is not None
            port = forward.stdout.readline().split("127.0.0.1:")[1].split(" ")[0]
            assert answer(f"http://127.0.0.1:{port}/") == "hello"
        finally:
            forward.terminate()


def test_a_service_answers_at_its_realised_address(echo: Driven) -> None:
    address = json.loads(echo.kubectl("get", "service", "echo", "-o", "json"))["spec"]["clusterIP"]
    assert address.startswith("10."), "objects hold ordinary addresses"
    until(lambda: endpoints(echo), seconds=10, what="an endpoint of the Service is ready")
    assert answer(f"http://127.{address.split('.', 1)[1]}:5678/") == "hello"


def test_an_explicit_token_secret_is_filled(echo: Driven) -> None:
    echo.kubectl("create", "serviceaccount", "robot")
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}},
    }
    echo.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    until(
        lambda: "token" in json.loads(echo.kubectl("get", "secret", "robot", "-o", "json")).get("data", {}), seconds=10, what="the Secret has a token"
    )


def test_deleting_a_namespace_takes_everything_in_it(echo: Driven) -> None:
    echo.kubectl("create", "namespace", "brief")
    echo.kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("namespace: default", "namespace: brief"))
    echo.kubectl("rollout", "status", "deployment/echo", "-n", "brief", "--timeout=30s")
    echo.kubectl("delete", "namespace", "brief", "--timeout=30s")
    assert "brief" not in echo.kubectl("get", "pods", "-A")


@pytest.mark.parametrize("part", [*PARTS, "supervisor", "watcher"])
def test_a_killed_part_comes_back(echo: Driven, hanging: ProcessId, part: str) -> None:
    before = echo.pids()
    process.send(before[part], signal.SIGKILL)
    until(lambda: echo.pids()[part] != before[part] and process.is_alive(echo.pids()[part]), seconds=15, what=f"{part} runs again")
    until(lambda: echo.status()["ready"], seconds=30, what=f"the cluster is ready after {part} was killed")
    until(lambda: endpoints(echo), seconds=30, what="the Service has a ready endpoint")
    until(lambda: process.is_alive(echo.pids()["watcher"]), seconds=5, what="somebody watches the supervisor again")
    running = [line for line in related(echo.root) if " etcd" in line]
    assert len(running) == 1, f"two etcds on one data directory would destroy it: {running}"


def test_a_part_that_hangs_is_found_and_replaced(pair: Pair, hanging: ProcessId) -> None:
    until(lambda: pair.remote.pids()["kube-apiserver"] != hanging, seconds=40, what="the API server that hangs is replaced")
    assert not process.is_alive(hanging)
    until(lambda: pair.remote.status()["ready"], seconds=30, what="the cluster is ready again")


def test_everything_killed_comes_back_with_its_objects(echo: Driven) -> None:
    identity = json.loads(echo.kubectl("get", "deployment", "echo", "-o", "json"))["metadata"]["uid"]
    for found in sorted(echo.pids().items(), key=lambda item: item[0] not in ("supervisor", "watcher")):
        process.send(found[1], signal.SIGKILL)
    until(lambda: not related(echo.root), seconds=5, what="all processes, those of pods too, are gone")
    assert echo.run("ensure") == "restored\n"
    assert json.loads(echo.kubectl("get", "deployment", "echo", "-o", "json"))["metadata"]["uid"] == identity, "the same object, not one like it"
    until(lambda: endpoints(echo), seconds=30, what="its pod runs again")
    assert Path(f"/proc/{echo.pids()['supervisor'].pid}/cwd").readlink() == Path("/"), "a daemon must not keep a directory busy"
