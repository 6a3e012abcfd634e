"""A real Prometheus scrapes a real Envoy through the gateway proxy's metrics listener, as docs/metrics.md says, with its own certificate only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import toolchain
from service_failover import envoy
from service_failover.addressing import EMBEDDED
from service_failover.names import GLOO_NAMESPACE, PROXY_JOB, metrics_identity, xds_client_identity, xds_server_identity
from tests.controlplane.support_certs import Authority
from tests.monitoring.prometheus_tools import Prometheus, running

pytestmark = pytest.mark.prometheus

ADDRESS = "127.0.77.11"
"""An address of this machine that nothing else listens on: the ports are the real ones."""
AUTHORITY = Authority()


@pytest.fixture(scope="module", autouse=True)
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Envoy with the gateway proxy's bootstrap. Without its xDS part: there is no gloo here, and its listeners would wait for one."""
    bootstrap = envoy.gateway_proxy_bootstrap(EMBEDDED, metrics=True)
    del bootstrap["dynamic_resources"]
    # The one metric of the documentation that the end-to-end tests' stack does not have.
    bootstrap["static_resources"]["clusters"].append({"name": "ejecting", "type": "STATIC", "outlier_detection": {}})
    text = yaml.safe_dump(bootstrap)
    variables = {"POD_IP": ADDRESS, "GLOO_SERVICE_HOST": ADDRESS, "GLOO_SERVICE_PORT_GRPC_XDS": "9977", "POD_NAMESPACE": GLOO_NAMESPACE}
    for name, value in variables.items():
        text = text.replace(f"$({name})", value)
    pair = AUTHORITY.issue(xds_client_identity(GLOO_NAMESPACE))
    log = tmp_path_factory.mktemp("proxy") / "log"
    with subprocess.Popen(
        [str(toolchain.find("envoy")), "--config-yaml", text, "--disable-hot-restart", "--concurrency", "1", "--log-path", str(log)],
        env={**os.environ, "XDS_TLS_CRT": pair.certificate, "XDS_TLS_KEY": pair.key, "XDS_TLS_CA": AUTHORITY.pem},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.kill()


def scraping(name: str, folder: Path) -> str:
    """A configuration with a certificate for `name`, in the form of docs/metrics.md."""
    pair = AUTHORITY.issue(name)
    tls = {"server_name": xds_client_identity(GLOO_NAMESPACE)}
    for file, text in (("ca", AUTHORITY.pem), ("cert", pair.certificate), ("key", pair.key)):
        path = folder / f"{file}.pem"
        path.touch(mode=0o600)
        path.write_text(text)
        tls[f"{file}_file"] = str(path)
    job = {
        "job_name": PROXY_JOB,
        "metrics_path": envoy.METRICS_PATH,
        "scheme": "https",
        "tls_config": tls,
        "static_configs": [{"targets": [f"{ADDRESS}:{envoy.METRICS_PORT}"], "labels": {"cluster": "local"}}],
    }
    return yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]})


def scraped(prometheus: Prometheus, *, health: str) -> str:
    """Wait until the one target is so (`up`, `down`). Returns the last error of scraping it."""
    deadline = time.monotonic() + 30
    while True:
        found = prometheus.targets()  # none in the first seconds
        if found and found[0]["health"] == health:
            return str(found[0]["lastError"])
        assert time.monotonic() < deadline, f"it is not {health}: {found}"
        time.sleep(0.2)


def test_with_its_certificate_prometheus_gets_the_proxys_metrics(tmp_path: Path) -> None:
    with running(scraping(metrics_identity(GLOO_NAMESPACE), tmp_path), tmp_path) as prometheus:
        assert scraped(prometheus, health="up") == ""
        assert prometheus.query('envoy_cluster_outlier_detection_ejections_active{envoy_cluster_name="ejecting"}')
        (sample,) = prometheus.query("envoy_server_memory_allocated")
        assert (sample["metric"]["job"], sample["metric"]["cluster"]) == (PROXY_JOB, "local"), "as alerts and dashboard ask for it"


@pytest.mark.parametrize("name", [xds_server_identity(GLOO_NAMESPACE), xds_client_identity(GLOO_NAMESPACE)], ids=["gloo's", "a proxy's"])
def test_with_another_certificate_of_the_same_authority_it_gets_nothing(name: str, tmp_path: Path) -> None:
    with running(scraping(name, tmp_path), tmp_path) as prometheus:
        assert scraped(prometheus, health="down"), "Envoy ends the connection"
        assert prometheus.query("envoy_server_memory_allocated") == []
