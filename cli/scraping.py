"""A configuration for a Prometheus on this machine that scrapes the control planes and proxies of a stack.

It lists the pods that run now. Those of embedded clusters have addresses here: one that is replaced later has another, and then this has to be
written anew. Those of other clusters are reached through port-forwards, which last as long as the command does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import toolchain
from cli import kubeconfigs
from cli.forwards import Forwards, say
from cli.stack import Stack
from cli.workspace import PROJECT, CommandFailed
from service_failover.addressing import EMBEDDED, realised
from service_failover.envoy import ADMIN_PORT, METRICS_PATH
from service_failover.names import FED_JOB, GLOO_JOB, HEALTH_PORT, PROXY_JOB, PROXY_SELECTOR

RULES = PROJECT / "service_failover" / "monitoring" / "alerts.yaml"
INTERVAL = "5s"
Pod = dict[str, Any]
"""A pod as the API has it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is scraped alike: pods with these labels, at this port and path."""

    name: str
    labels: Mapping[str, str]
    port: int
    path: str
    honor_labels: bool
    """Whether labels such as `namespace` in a metric are what it is about, and not where it comes from."""

    def of(self, pods: Iterable[Pod]) -> list[Pod]:
        """Those of these pods that have an address and are not on their way out."""
        return [
            pod
            for pod in pods
            if self.labels.items() <= pod["metadata"].get("labels", {}).items()
            and pod["status"].get("podIP")
            and "deletionTimestamp" not in pod["metadata"]
        ]


JOBS = (
    Job(name=GLOO_JOB, labels={"gloo": "gloo"}, port=HEALTH_PORT, path="/metrics", honor_labels=True),
    Job(name=FED_JOB, labels={"gloo-fed": "gloo-fed"}, port=HEALTH_PORT, path="/metrics", honor_labels=True),
    # On loopback whoever is on this machine may read the admin port; it only tells.
    Job(name=PROXY_JOB, labels=PROXY_SELECTOR, port=ADMIN_PORT, path=METRICS_PATH, honor_labels=False),
)


Dial = Callable[[str, Job, Pod], str]
"""Where a cluster's pod is scraped for a job, as `host:port` on this machine."""


def serve(stack: Stack) -> None:
    """Print the configuration, and keep the port-forwards open that it needs, if any, until interrupted.

    Errors: CommandFailed when the stack is not up, or a cluster does not answer.
    """
    files = {file.stem: file for file in kubeconfigs.write(stack, stack.outputs())}
    if not files:
        raise CommandFailed(f"stack {stack.name!r} is not up. Bring it up first: {stack.command('up')}")
    embedded = {name for name in files if (stack.workspace.clusters(stack.name) / name).is_dir()}
    found = {name: _pods(file, stack) for name, file in files.items()}
    with Forwards() as forwards:

        def dial(cluster: str, job: Job, pod: Pod) -> str:
            if cluster in embedded:
                return address(cluster, job, pod)
            port = forwards.open(
                _kubectl(files[cluster]),
                namespace=pod["metadata"]["namespace"],
                pod=pod["metadata"]["name"],
                port=job.port,
                candidates=lambda: [each["metadata"]["name"] for each in job.of(_pods(files[cluster], stack))],
            )
            return f"127.0.0.1:{port}"

        lasts = (
            "write it anew when one was replaced" if embedded.issuperset(files) else "some through port-forwards: it holds while make metrics runs"
        )
        print(f"# Pods of stack {stack.name} as they are now; {lasts}.\n{rendered(found, dial=dial)}", end="", flush=True)
        if not embedded.issuperset(files):
            say("The configuration is complete. Its port-forwards are open until Ctrl-C.")
            forwards.keep()


def address(cluster: str, job: Job, pod: Pod) -> str:
    """Where a pod of an embedded cluster is on this machine."""
    return f"{realised(pod['status']['podIP'], EMBEDDED.get('realise'))}:{job.port}"


def rendered(pods: Mapping[str, Iterable[Pod]], *, dial: Dial = address) -> str:
    """The document, for the pods of each cluster. Pods without an address, or on their way out, are left out."""
    jobs = [
        {
            "job_name": job.name,
            "metrics_path": job.path,
            "honor_labels": job.honor_labels,
            "static_configs": [
                {"targets": targets, "labels": {"cluster": cluster}}
                for cluster, found in pods.items()
                if (targets := [dial(cluster, job, pod) for pod in job.of(found)])
            ],
        }
        for job in JOBS
    ]
    settings = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    return yaml.safe_dump({"global": settings, "rule_files": [str(RULES)], "scrape_configs": jobs}, sort_keys=False)


def _kubectl(kubeconfig: Path) -> list[str]:
    return [str(toolchain.find("kubectl")), "--kubeconfig", str(kubeconfig), "--request-timeout=10s"]


def _pods(kubeconfig: Path, stack: Stack) -> list[Pod]:
    done = subprocess.run([*_kubectl(kubeconfig), "get", "pods", "-A", "-o", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"cluster {kubeconfig.stem} does not say which pods it has: {done.stderr.strip()}. Is it up? {stack.command('status')}")
    return list(json.loads(done.stdout)["items"])
