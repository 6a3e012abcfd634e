"""The metrics: every one is explained, served, and says what it should of a Secret's certificates."""

from __future__ import annotations

import asyncio
import base64
import re
import time
import tomllib
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry
from support_certs import Authority

from controlplane import VERSION, metrics
from controlplane.gloo.certificates import CertificateExpiry
from controlplane.health import HealthServer
from controlplane.xds.resources import ResourceType
from controlplane.xds.server import AdsServer  # noqa: F401 - it counts refusals

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(service_failover_\w+)` \| ([\w, ]*)\|", re.MULTILINE)


def registered() -> dict[str, frozenset[str]]:
    """The names as Prometheus sees them, with their labels."""
    found = {metrics.CERTIFICATE_EXPIRY: frozenset({"namespace", "secret", "file"})}
    for metric in vars(metrics).values():
        if hasattr(metric, "describe") and hasattr(metric, "_labelnames"):
            (family,) = metric.describe()
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            found[family.name + suffix] = frozenset(metric._labelnames)
    return found


def test_every_metric_is_explained_with_its_labels_and_no_other() -> None:
    explained = {name: frozenset(filter(None, re.split(r"[, ]+", labels))) for name, labels in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))}
    found = {name: labels | ({"version"} if name.endswith("_build_info") else set()) for name, labels in registered().items()}
    assert explained == found, "docs/metrics.md and controlplane/metrics.py say the same"


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((DOCUMENT.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION, "build_info says what runs"


async def test_the_health_endpoint_serves_them() -> None:
    metrics.SWITCHES.labels("gloo-system", "test", "Recovered").inc()
    server = HealthServer(address="127.0.0.1:0", waiting_for=lambda: [])
    await server.start()
    try:
        async with httpx.AsyncClient() as http:
            response = await http.get(f"http://127.0.0.1:{server.port}/metrics")
    finally:
        await server.stop()
        metrics.SWITCHES.remove("gloo-system", "test", "Recovered")
    assert response.status_code == 200, "Prometheus scrapes it"
    assert response.headers["content-type"].startswith("text/plain"), "in its text format"
    assert 'service_failover_switches_total{namespace="gloo-system",reason="Recovered",upstream="test"} 1.0' in response.text, "what was counted"
    assert "service_failover_build_info" in response.text, "and which version counts"
    await asyncio.sleep(0)


def test_refusals_are_counted_from_nought() -> None:
    for kind in ResourceType:
        counted = metrics.REGISTRY.get_sample_value("service_failover_xds_refusals_total", {"type": kind.name.lower()})
        assert counted is not None, "a counter that begins with 1 has not increased, to Prometheus"


def test_the_end_of_every_certificate_is_known_before_it_comes() -> None:
    authority = Authority()
    pem = {"tls.crt": authority.issue("a").certificate, "ca.crt": authority.pem, "tls.key": "no business of a metric"}
    secrets = {
        ("gloo-system", "good"): {"data": {name: base64.b64encode(text.encode()).decode() for name, text in pem.items()}},
        ("gloo-system", "bad"): {"data": {"tls.crt": "%%%", "ca.crt": base64.b64encode(b"nothing").decode()}},
    }
    registry = CollectorRegistry()
    CertificateExpiry(lambda: secrets, registry=registry)
    (family,) = list(registry.collect())
    found = {sample.labels["file"]: sample.value for sample in family.samples}
    assert found.keys() == {"tls.crt", "ca.crt"}, "of the good Secret; a bad one breaks nothing"
    assert all(86_000 < value - time.time() < 86_500 for value in found.values()), "the test's certificates last a day"
