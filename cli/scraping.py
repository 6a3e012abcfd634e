"""A configuration for a Prometheus on this machine that scrapes the control planes and proxies of a stack's embedded clusters.

It lists the pods that run now: one that is replaced later has another address, and then this has to be written anew.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import toolchain
from cli import kubeconfigs
from cli.stack import Stack
from cli.workspace import PROJECT, CommandFailed
from service_failover.addressing import EMBEDDED, realised
from service_failover.envoy import ADMIN_PORT, METRICS_PATH
from service_failover.names import FED_JOB, GLOO_JOB, HEALTH_PORT, PROXY_JOB, PROXY_SELECTOR

RULES = PROJECT / "service_failover" / "monitoring" / "alerts.yaml"
INTERVAL = "5s"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is scraped alike: pods with these labels, at this port and path."""

    name: str
    labels: Mapping[str, str]
    port: int
    path: str
    honor_labels: bool
    """Whether labels such as `namespace` in a metric are what it is about, and not where it comes from."""


JOBS = (
    Job(name=GLOO_JOB, labels={"gloo": "gloo"}, port=HEALTH_PORT, path="/metrics", honor_labels=True),
    Job(name=FED_JOB, labels={"gloo-fed": "gloo-fed"}, port=HEALTH_PORT, path="/metrics", honor_labels=True),
    # On loopback whoever is on this machine may read the admin port; it only tells.
    Job(name=PROXY_JOB, labels=PROXY_SELECTOR, port=ADMIN_PORT, path=METRICS_PATH, honor_labels=False),
)


def configuration(stack: Stack) -> str:
    """The configuration. Errors: CommandFailed when the stack is not up, has clusters that are not embedded, or a cluster does not answer."""
    files = kubeconfigs.write(stack, stack.outputs())
    if not files:
        raise CommandFailed(f"stack {stack.name!r} is not up. Bring it up first: {stack.command('up')}")
    others = [file.stem for file in files if not (stack.workspace.clusters(stack.name) / file.stem).is_dir()]
    if others:
        raise CommandFailed(
            f"pods of {', '.join(others)} have no addresses on this machine: only those of embedded clusters have. "
            "For other clusters see docs/metrics.md, and set monitoring.scrapedBy"
        )
    document = rendered({file.stem: _pods(file, stack) for file in files})
    return f"# Pods of stack {stack.name} as they are now; write it anew when one was replaced.\n{document}"


def rendered(pods: Mapping[str, Iterable[dict[str, Any]]]) -> str:
    """The document, for the pods of each cluster as the API has them. Pods without an address, or on their way out, are left out."""
    jobs = [
        {
            "job_name": job.name,
            "metrics_path": job.path,
            "honor_labels": job.honor_labels,
            "static_configs": [
                {"targets": targets, "labels": {"cluster": cluster}} for cluster, found in pods.items() if (targets := _targets(job, found))
            ],
        }
        for job in JOBS
    ]
    settings = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    return yaml.safe_dump({"global": settings, "rule_files": [str(RULES)], "scrape_configs": jobs}, sort_keys=False)


def _targets(job: Job, pods: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"{realised(pod['status']['podIP'], EMBEDDED.get('realise'))}:{job.port}"
        for pod in pods
        if job.labels.items() <= pod["metadata"].get("labels", {}).items()
        and pod["status"].get("podIP")
        and "deletionTimestamp" not in pod["metadata"]
    ]


def _pods(kubeconfig: Path, stack: Stack) -> list[dict[str, Any]]:
    command = [str(toolchain.find("kubectl")), "--kubeconfig", str(kubeconfig), "--request-timeout=10s", "get", "pods", "-A", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"cluster {kubeconfig.stem} does not say which pods it has: {done.stderr.strip()}. Is it up? {stack.command('status')}")
    return list(json.loads(done.stdout)["items"])
