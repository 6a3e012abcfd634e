"""The configuration that `make metrics` prints, without a stack: whom it lists, and that Prometheus takes it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import scraping
from cli.scraping import JOBS, RULES, rendered, serve
from cli.workspace import CommandFailed
from service_failover.names import FED_JOB, GLOO_JOB, PROXY_JOB
from tests.monitoring.prometheus_tools import promtool


def pod(address: str, *, leaving: bool = False, **labels: str) -> dict[str, Any]:
    """A pod as the API has it; names of labels have underscores here."""
    metadata: dict[str, Any] = {"labels": {name.replace("_", "-"): value for name, value in labels.items()}}
    return {"metadata": metadata | ({"deletionTimestamp": "now"} if leaving else {}), "status": {"podIP": address} if address else {}}


PROXY = {"gloo": "gateway-proxy", "gateway_proxy": "live", "gateway_proxy_id": "gateway-proxy"}
PODS = {
    "local": [
        pod("10.77.0.5", gloo="gloo"),
        pod("10.77.0.6", gloo="gloo", leaving=True),
        pod("", gloo="gloo"),
        pod("10.77.0.7", gloo_fed="gloo-fed"),
        pod("10.77.0.8", **PROXY),
        pod("10.77.0.9", app="echo-blue"),
        {"metadata": {}, "status": {"podIP": "10.77.0.10"}},
    ],
    "remote": [pod("10.78.0.5", gloo="gloo"), pod("10.78.0.8", **PROXY), pod("10.78.0.9", **PROXY)],
}


def jobs() -> dict[str, list[tuple[str, list[str]]]]:
    """Targets of each job, by cluster."""
    document = yaml.safe_load(rendered(PODS))
    return {job["job_name"]: [(each["labels"]["cluster"], each["targets"]) for each in job["static_configs"]] for job in document["scrape_configs"]}


@pytest.mark.unit
def test_it_lists_every_pod_that_is_there_to_stay_where_it_is_on_this_machine() -> None:
    assert jobs() == {
        GLOO_JOB: [("local", ["127.77.0.5:9978"]), ("remote", ["127.78.0.5:9978"])],
        FED_JOB: [("local", ["127.77.0.7:9978"])],
        PROXY_JOB: [("local", ["127.77.0.8:19000"]), ("remote", ["127.78.0.8:19000", "127.78.0.9:19000"])],
    }


@pytest.mark.unit
def test_a_pod_without_an_address_here_is_where_it_was_dialled() -> None:
    document = yaml.safe_load(rendered({"far": PODS["remote"]}, dial=lambda cluster, job, pod: f"{cluster}-{pod['status']['podIP']}:{job.port}"))
    targets = {job["job_name"]: [each["targets"] for each in job["static_configs"]] for job in document["scrape_configs"]}
    assert targets == {GLOO_JOB: [["far-10.78.0.5:9978"]], FED_JOB: [], PROXY_JOB: [["far-10.78.0.8:19000", "far-10.78.0.9:19000"]]}


@pytest.mark.unit
def test_what_a_metric_is_about_is_kept() -> None:
    assert {job.name for job in JOBS if job.honor_labels} == {GLOO_JOB, FED_JOB}, "or `namespace` would be called exported_namespace"


@pytest.mark.prometheus
def test_prometheus_takes_it_with_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(rendered(PODS))
    done = promtool("check", "config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(RULES) in done.stdout, "it has looked at the rules too"


@dataclass(frozen=True)
class OneStack:
    """As much of a stack as the command asks for: the files of its kubeconfigs, and where its embedded clusters are."""

    folder: Path
    up: tuple[str, ...]
    name: str = "it"

    @property
    def workspace(self) -> OneStack:
        return self

    def outputs(self) -> dict[str, Any]:
        return {"kubeconfigs": dict.fromkeys(self.up, "a kubeconfig that names no server")}

    def kubeconfigs(self, stack: str) -> Path:
        return self.folder / "kubeconfigs"

    def clusters(self, stack: str) -> Path:
        return self.folder / "clusters"

    def command(self, target: str) -> str:
        return f"make {target} STACK={self.name}"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("up", "embedded", "said"),
    [
        ((), (), "stack 'it' is not up. Bring it up first: make up STACK=it"),
        (("local",), ("local",), "cluster local does not say which pods it has: connection refused. Is it up[?] make status STACK=it"),
    ],
    ids=["not up", "no answer"],
)
def test_where_it_cannot_say_whom_to_scrape_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, up: tuple[str, ...], embedded: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(scraping.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "connection refused"))
    for name in embedded:
        (tmp_path / "clusters" / name).mkdir(parents=True)
    with pytest.raises(CommandFailed, match=said):
        serve(OneStack(tmp_path, up))  # type: ignore[arg-type]
