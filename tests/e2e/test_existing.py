"""Two clusters that were made outside of any stack: the program works on them by their kubeconfig, and leaves them as they were."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from cli.traffic import ask
from drill.settled import unsettled
from service_failover.monitoring.objects import alerts
from service_failover.names import FED_JOB, GLOO_JOB, PROXY_JOB
from tests.e2e import faults
from tests.e2e.clients import BLUE, GREEN
from tests.e2e.conftest import PROJECT, LiveStack, until
from tests.e2e.outside import Outside, clusters_outside
from tests.e2e.stand_in_operator import definitions
from tests.monitoring.prometheus_tools import running

pytestmark = pytest.mark.e2e

CONFIG = """config:
  pulumi:disable-default-providers:
    - kubernetes
  service-failover:clusterKind: existing
  service-failover:clusters:
    - name: local
      context: embedded-home
      management: true
    - name: remote
      context: embedded-far
  service-failover:replicas: 2
"""
SCRAPED = """  service-failover:monitoring:
    scrapedBy: operator
    labels: {release: somebodys}
"""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with clusters_outside(tmp_path / "clusters") as clusters:
        yield clusters


def test_a_stack_comes_to_clusters_that_exist_and_goes_again(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", outside.kubeconfig)
    stack = LiveStack(name="e2e-existing", state=tmp_path / "root")
    stack_file = PROJECT / f"Pulumi.{stack.name}.yaml"
    stack_file.write_text(CONFIG + SCRAPED)
    outside.kubectl("far", "apply", "-f", "-", stdin=definitions())
    try:
        assert_it_needs_the_operator_everywhere(stack, outside)
        outside.kubectl("home", "apply", "-f", "-", stdin=definitions())
        before = {name: outside.objects(name) for name in ("home", "far")}
        up = stack.cli("up")
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        assert "blue-pod" in up.stdout, "`up` ends with the first answer"
        again = stack.cli("up")
        assert "unchanged" in again.stdout, "nothing is new"
        for change in (" created", " updated", " replaced"):
            assert change not in again.stdout, f"a second `up` does nothing: {again.stdout[-3000:]}"
        pods = [pod["metadata"]["name"].rsplit("-", 2)[0] for pod in stack.get("local", "pods", "-A")["items"]]
        assert [pods.count(name) for name in ("gloo", "gateway-proxy", "gloo-fed")] == [2, 2, 2], f"two of each: {pods}"
        assert_the_operator_has_its_objects(stack)
        assert_prometheus_can_read_the_proxies(stack, tmp_path)
        assert_a_drill_asks_and_passes(stack, tmp_path)
        assert_a_drill_that_is_killed_leaves_them_healed(stack)
        down = stack.cli("down")
        assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
        assert {name: outside.objects(name) for name in before} == before, "the clusters are there, and as they were"
    finally:
        stack.cli("down")
        stack_file.unlink(missing_ok=True)


def assert_a_drill_asks_and_passes(stack: LiveStack, folder: Path) -> None:
    """Two scenarios by the Kubernetes API alone, after a yes at a terminal; and nothing without one."""
    report, scenarios = folder / "drill.json", ["app-unhealthy", "failover-gateway-killed"]
    until("the stack is settled", lambda: not unsettled(stack.target), seconds=60)
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "--json", str(report), "--html", str(folder / "drill.html"), *scenarios]
    run = partial(subprocess.run, command, cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=200, check=False)
    refused = run(stdin=subprocess.DEVNULL)
    assert refused.returncode == 2, "nobody can be asked"
    assert "in your clusters (local: embedded-home, remote: embedded-far)" in refused.stderr, "whose they are"
    agrees = f'To agree: --yes, as in: make drill STACK={stack.name} SCENARIO="--yes app-unhealthy failover-gateway-killed"'
    assert agrees in refused.stderr, "what agrees"
    assert not report.exists(), "nothing was done"
    terminal, ours = pty.openpty()
    try:
        os.write(terminal, b"yes\n")
        done = run(stdin=ours)
    finally:
        os.close(terminal)
        os.close(ours)
    assert "Type yes to go on: " in done.stdout, "it asks"
    assert "  - The failover gateway of the standby's cluster is killed\n" in done.stdout, "with what it would break"
    assert done.returncode == 0, f"every objective was met:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert [(each["name"], each["passed"]) for each in json.loads(report.read_text())["scenarios"]] == [(name, True) for name in scenarios]


def assert_a_drill_that_is_killed_leaves_them_healed(stack: LiveStack) -> None:
    broken = stack.state / stack.name / "drills" / "broken.json"
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "--yes", "scaled-to-zero"]
    with subprocess.Popen(command, cwd=PROJECT, env=stack.environment, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until("green answers, as blue has no pods", lambda: broken.exists() and GREEN in ask(stack.url), seconds=60)
        os.killpg(process.pid, signal.SIGKILL)
    until("the guardian has healed it", lambda: not broken.exists(), seconds=60)
    until("the stack is settled", lambda: not unsettled(stack.target), seconds=60)
    assert BLUE in ask(stack.url), "blue serves again"


def assert_it_needs_the_operator_everywhere(stack: LiveStack, outside: Outside) -> None:
    before = {name: outside.objects(name) for name in ("home", "far")}
    refused = stack.cli("up")
    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode == 1, "one of the clusters has no operator"
    assert "needs the Prometheus operator in cluster local, which lacks podmonitors.monitoring.coreos.com, prometheusrules" in said, said[-3000:]
    assert "operator in cluster remote" not in said, "that one has it"
    assert {name: outside.objects(name) for name in before} == before, "nothing was made in either"


def assert_the_operator_has_its_objects(stack: LiveStack) -> None:
    for cluster, jobs in (("local", {GLOO_JOB, FED_JOB, PROXY_JOB}), ("remote", {GLOO_JOB, PROXY_JOB})):
        monitors = stack.get(cluster, "podmonitors.monitoring.coreos.com", "-A")["items"]
        assert {monitor["metadata"]["name"] for monitor in monitors} == jobs
        assert {monitor["metadata"]["labels"]["release"] for monitor in monitors} == {"somebodys"}, "by which it selects them"
        (rule,) = stack.get(cluster, "prometheusrules.monitoring.coreos.com", "-A")["items"]
        assert rule["spec"] == alerts(), "as Pulumi and the API server have passed them on"
        dashboard = stack.get(cluster, "configmap", "-n", "gloo-system", "service-failover-dashboard")
        assert json.loads(dashboard["data"]["service-failover.json"])["title"] == "Service Failover"


def assert_prometheus_can_read_the_proxies(stack: LiveStack, folder: Path) -> None:
    """As the PodMonitor says it, by the port, the path and the Secret that it names."""
    monitor = stack.get("remote", "podmonitor.monitoring.coreos.com", "-n", "gloo-system", PROXY_JOB)["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    tls = endpoint["tlsConfig"]
    files = {}
    for name, chosen in (("ca_file", tls["ca"]["secret"]), ("cert_file", tls["cert"]["secret"]), ("key_file", tls["keySecret"])):
        data = stack.get("remote", "secret", "-n", "gloo-system", chosen["name"])["data"]
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(base64.b64decode(data[chosen["key"]]))
        files[name] = str(file)
    selector = ",".join(f"{name}={value}" for name, value in monitor["selector"]["matchLabels"].items())
    pods = stack.get("remote", "pods", "-n", "gloo-system", "-l", selector)["items"]
    ports = [(faults.realised(pod["status"]["podIP"]), port) for pod in pods for port in pod["spec"]["containers"][0]["ports"]]
    job = {
        "job_name": PROXY_JOB,
        "metrics_path": endpoint["path"],
        "scheme": endpoint["scheme"],
        "tls_config": files | {"server_name": tls["serverName"]},
        "static_configs": [{"targets": [f"{address}:{port['containerPort']}" for address, port in ports if port["name"] == endpoint["port"]]}],
    }
    with running(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}), folder) as prometheus:
        until("both proxies are scraped", lambda: [target["health"] for target in prometheus.targets()] == ["up", "up"])
        connected = [sample["value"][1] for sample in prometheus.query("envoy_control_plane_connected_state")]
        assert connected == ["1", "1"], "and each says that it has gloo"
