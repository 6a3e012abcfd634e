"""What a person sees of kind clusters from this machine: the console during a failover and a failback, and metrics in a Prometheus.

Both come through port-forwards, and the proxies' metrics by the port that `monitoring.scrapedBy` opens, too.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from kind_support import KindStack

import toolchain
from cli.forwarding import port_forward
from cli.scraping import RULES
from service_failover.envoy import METRICS_PATH, METRICS_PORT
from service_failover.monitoring.objects import alerts
from service_failover.names import FED_JOB, GLOO_JOB, METRICS_SECRET, PROXY_JOB, xds_client_identity
from tests.e2e.conftest import until
from tests.monitoring.prometheus_tools import Prometheus, running

pytestmark = pytest.mark.kind

PRIMARY, TIER = "primary (local)", "tier 1 (remote)"
BY_CERTIFICATE = "by certificate"
"""A job for the port that the proxies have for Prometheus."""


@contextmanager
def lasting(stack: KindStack, command: str) -> Iterator[subprocess.Popen[str]]:
    """A command of `make` that goes on until Ctrl-C, and ends well with it."""
    process = stack.popen(command)
    assert process.stdout is not None, "a pipe"
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said


def test_the_console_shows_a_failover_and_a_failback(stack: KindStack) -> None:
    stack.settled()
    with lasting(stack, "console") as process:
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline()) if process.stdout else None
        assert found, "the first line is the URL"
        url = found.group()
        assert "<title>" in httpx.get(url, timeout=10).text, "the page"

        def state() -> Any:
            return httpx.get(f"{url}api/state", timeout=10).raise_for_status().json()

        def serves(name: str) -> bool:
            (scheme,) = state()["schemes"]
            return bool(scheme["serving"]["name"] == name)

        assert {each["name"]: each["connection"] for each in state()["clusters"]} == {"local": "connected", "remote": "connected"}
        until("blue's tier serves", lambda: serves(PRIMARY))
        stack.succeed("fail")
        try:
            until("the console says that green's serves", lambda: serves(TIER))
        finally:
            stack.succeed("heal")
        until("and that blue's does again", lambda: serves(PRIMARY))
        events = [each["text"] for each in state()["events"]]
        assert any(f"{TIER} serves, before it {PRIMARY}" in text for text in events), f"both are among its events: {events}"
        assert any(f"{PRIMARY} serves, before it {TIER}" in text for text in events), f"both are among its events: {events}"


def printed(process: subprocess.Popen[str]) -> Any:
    """The configuration that `make metrics` has printed before it says that it is complete."""
    assert process.stdout is not None, "a pipe"
    lines = []
    for line in process.stdout:
        if line.startswith("The configuration is complete."):
            break
        lines.append(line)
    return yaml.safe_load("".join(lines))


def certificate(stack: KindStack, folder: Path) -> dict[str, str]:
    """What `tls_config` says of the files that a Prometheus in the cluster would have mounted from the Secret."""
    data = stack.get("remote", "secret", "-n", "gloo-system", METRICS_SECRET)["data"]
    files = {"ca_file": "ca.crt", "cert_file": "tls.crt", "key_file": "tls.key"}
    for key in files.values():
        (folder / key).touch(mode=0o600)
        (folder / key).write_bytes(base64.b64decode(data[key]))
    return {name: str(folder / key) for name, key in files.items()}


@pytest.fixture
def prometheus(stack: KindStack, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus on this machine with what `make metrics` prints, as long as that runs; and a job more, for the proxies' own port."""
    remote = [str(toolchain.find("kubectl")), "--kubeconfig", str(stack.state / stack.name / "kubeconfigs" / "remote.yaml")]
    with lasting(stack, "metrics") as process, port_forward(remote, "deploy/gateway-proxy", METRICS_PORT, namespace="gloo-system") as port:
        config = printed(process)
        assert config["rule_files"] == [str(RULES)], "the alert rules are in it; here they are looked at every second"
        by_certificate = {
            "job_name": BY_CERTIFICATE,
            "metrics_path": METRICS_PATH,
            "scheme": "https",
            "tls_config": certificate(stack, tmp_path) | {"server_name": xds_client_identity("gloo-system")},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": "remote"}}],
        }
        config["scrape_configs"].append(by_certificate)
        (group,) = alerts()["groups"]
        (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [group | {"interval": "1s"}]}))
        config |= {"global": {"scrape_interval": "1s"}, "rule_files": [str(tmp_path / "alerts.yaml")]}
        with running(yaml.safe_dump(config), tmp_path) as it:
            yield it


def test_prometheus_scrapes_both_clusters_and_evaluates_the_rules(stack: KindStack, prometheus: Prometheus) -> None:
    stack.settled()
    until("every target was scraped", lambda: prometheus.targets() and all(target["health"] != "unknown" for target in prometheus.targets()))
    found = prometheus.targets()
    assert [target["scrapeUrl"] for target in found if target["health"] != "up"] == [], [target["lastError"] for target in found]
    scraped = Counter((target["labels"]["job"], target["labels"]["cluster"]) for target in found)
    assert scraped == Counter(
        [(GLOO_JOB, "local"), (GLOO_JOB, "remote"), (FED_JOB, "local"), (PROXY_JOB, "local"), (PROXY_JOB, "remote"), (BY_CERTIFICATE, "remote")]
    ), "each control plane and each proxy, and one proxy by its certificate too"
    until("each proxy says that it has gloo", lambda: connected(prometheus) == ["1", "1", "1"])
    until("blue serves, in the federation's words", lambda: values(prometheus, "service_failover_scheme_serving_priority") == ["0"])
    until("every rule was evaluated", lambda: all(rule["health"] != "unknown" for rule in rules(prometheus)))
    assert [rule["name"] for rule in rules(prometheus)] == [rule["alert"] for rule in alerts()["groups"][0]["rules"]]
    assert {rule["health"] for rule in rules(prometheus)} == {"ok"}, [rule["lastError"] for rule in rules(prometheus) if "lastError" in rule]


def values(prometheus: Prometheus, metric: str) -> list[str]:
    return [sample["value"][1] for sample in prometheus.query(metric)]


def connected(prometheus: Prometheus) -> list[str]:
    return values(prometheus, "envoy_control_plane_connected_state")


def rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    (group,) = prometheus.get("rules")["groups"]
    return list(group["rules"])
