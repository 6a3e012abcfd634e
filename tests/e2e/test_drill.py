"""The drill on a real stack: it passes on a sound one. On a weakened one it fails, by the objective that is missed, and names what is weak.

What is weakened, and put back, is what somebody could do by kubectl: an annotation, a field, a name, a Secret.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.traffic import ask
from drill.scenarios import DEFAULT, SCENARIOS
from tests.e2e.clients import BLUE, GREEN
from tests.e2e.conftest import PROJECT, LiveStack, until
from tests.e2e.faults import FAILOVER_GATEWAY, GATEWAY, fresh_pid_of, kill_container, settled

pytestmark = pytest.mark.e2e

UPSTREAM = ("upstream", "-n", "gloo-system", "default-service-blue-10000")
FAILOVER = ("gateway", "-n", "gloo-system", "failover-gateway")
ROUTE = ("virtualservice", "-n", "gloo-system", "default")
CERTIFICATE = ("secret", "-n", "gloo-system", "failover-upstream")
RETRIES = "servicefailover.dev/failover-retries"


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """A drill that has ended."""

    code: int
    said: str
    document: dict[str, Any]

    def run(self, scenario: str) -> dict[str, Any]:
        """The only run of a scenario."""
        (found,) = [each["runs"] for each in self.document["scenarios"] if each["name"] == scenario]
        (run,) = found
        return dict(run)


def drill(stack: LiveStack, folder: Path, *arguments: str) -> Drilled:
    """`python -m drill`, as in a shell that is no terminal."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "--json", str(report), "--html", str(folder / "report.html"), *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=900, check=False)
    said = done.stdout + done.stderr
    assert report.exists(), f"there is a report:\n{said[-6000:]}"
    return Drilled(code=done.returncode, said=said, document=json.loads(report.read_text()))


def is_whole(stack: LiveStack) -> None:
    """Wait until the stack is as it was: both apps healthy at the gateway, and the standby proven."""
    settled(stack)
    scheme = ("failoverscheme", "-n", "gloo-fed", "failover-scheme")
    until("the standby is proven", lambda: stack.get("local", *scheme).get("status", {}).get("standbyProven"), seconds=60)


def patch(stack: LiveStack, cluster: str, *what: str, **operation: Any) -> None:
    """One operation of a JSON patch."""
    stack.kubectl(cluster, "patch", *what, "--type=json", "-p", json.dumps([operation]))


@contextmanager
def no_retries(stack: LiveStack) -> Iterator[None]:
    stack.kubectl("local", "annotate", *ROUTE, f"{RETRIES}=disabled")
    try:
        yield
    finally:
        stack.kubectl("local", "annotate", *ROUTE, f"{RETRIES}-")


@contextmanager
def no_health_check(stack: LiveStack) -> Iterator[None]:
    checks = stack.get("local", *UPSTREAM)["spec"]["healthChecks"]
    patch(stack, "local", *UPSTREAM, op="remove", path="/spec/healthChecks")
    try:
        yield
    finally:
        patch(stack, "local", *UPSTREAM, op="add", path="/spec/healthChecks", value=checks)


@contextmanager
def wrong_sni(stack: LiveStack) -> Iterator[None]:
    path = "/spec/tcpGateway/tcpHosts/0/sslConfig/sniDomains/0"
    (right,) = stack.get("remote", *FAILOVER)["spec"]["tcpGateway"]["tcpHosts"][0]["sslConfig"]["sniDomains"]
    patch(stack, "remote", *FAILOVER, op="replace", path=path, value="something-else_gloo-system")
    try:
        kill_container(stack, FAILOVER_GATEWAY)  # connections that are there would go on working
        yield
    finally:
        patch(stack, "remote", *FAILOVER, op="replace", path=path, value=right)


@contextmanager
def no_certificate(stack: LiveStack) -> Iterator[None]:
    secret = stack.get("local", *CERTIFICATE)
    kept = {"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "data": secret["data"]}
    kept["metadata"] = {name: secret["metadata"].get(name, {}) for name in ("name", "namespace", "labels", "annotations")}
    stack.kubectl("local", "delete", *CERTIFICATE)
    try:
        fresh_pid_of(stack, GATEWAY)  # a proxy that has a certificate would keep it
        yield
    finally:
        stack.kubectl("local", "create", "-f", "-", stdin=json.dumps(kept))


Weaken = Callable[[LiveStack], AbstractContextManager[None]]
WEAK: dict[str, tuple[Weaken, str, str, str]] = {
    "no retries": (no_retries, "app-sick", "failed", f"VirtualService 'default' has no retries ({RETRIES}: disabled)"),
    "no health check": (no_health_check, "app-unhealthy", "detect_within", "has no health check (spec.healthChecks)"),
    "wrong SNI": (wrong_sni, "app-unhealthy", "switch_within", "(SNI), and the failover Gateway there serves only something-else_gloo-system"),
    "missing certificate": (no_certificate, "app-unhealthy", "switch_within", "Secret 'failover-upstream' in local is missing"),
}
"""By what is weak: how that is done, a scenario that it matters for, an objective that is missed then, and a part of the cause."""


@pytest.mark.parametrize("weakness", WEAK)
def test_the_drill_fails_on_a_weakened_stack_and_names_what_is_weak(stack: LiveStack, tmp_path: Path, weakness: str) -> None:
    weaken, scenario, objective, cause = WEAK[weakness]
    is_whole(stack)
    try:
        with weaken(stack):
            drilled = drill(stack, tmp_path, scenario, "--despite-unhealthy")
    finally:
        is_whole(stack)
    run = drilled.run(scenario)
    assert drilled.code == 1, f"an objective was missed, and that is the exit code:\n{drilled.said[-3000:]}"
    assert objective in [check["objective"] for check in run["checks"] if not check["met"]], "this one among others"
    assert [said for said in run["causes"] if cause in said], f"what is weak is named; named were {run['causes']}"
    assert cause in drilled.said, "in the terminal too"
    page = (tmp_path / "report.html").read_text()
    assert "FAIL" in page.upper(), "and on the page"


def test_a_drill_refuses_a_stack_that_is_not_healthy_and_says_why(stack: LiveStack) -> None:
    is_whole(stack)
    stack.cli("fail")
    try:
        command = [sys.executable, "-m", "drill", "--stack", stack.name, "app-killed"]
        done = subprocess.run(command, cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=120, check=False)
    finally:
        stack.cli("heal")
        is_whole(stack)
    assert done.returncode == 2, "it could not be done"
    assert "the stack is not healthy, so a drill would measure that: tier 1 (remote) serves, not the primary" in done.stderr, "why"
    assert f"make status STACK={stack.name}" in done.stderr, "and what to look at"


def test_a_drill_that_is_killed_leaves_a_healed_stack(stack: LiveStack) -> None:
    is_whole(stack)
    drills = stack.state / stack.name / "drills"
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "app-frozen"]
    with subprocess.Popen(command, cwd=PROJECT, env=stack.environment, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until("green answers, as blue is frozen", lambda: (drills / "broken.json").exists() and GREEN in ask(stack.url), seconds=60)
        os.killpg(process.pid, signal.SIGKILL)
    until("the guardian has healed it", lambda: not (drills / "broken.json").exists())
    is_whole(stack)
    assert BLUE in ask(stack.url), "blue serves again"
    assert (drills / "guardian.log").read_text().endswith("app-frozen: healed\n"), "it was the guardian"


def test_the_default_set_passes_on_a_sound_stack(stack: LiveStack, tmp_path: Path) -> None:
    is_whole(stack)
    drilled = drill(stack, tmp_path)
    print(drilled.said)
    assert drilled.code == 0, f"every objective was met:\n{drilled.said[-6000:]}"
    assert [each["name"] for each in drilled.document["scenarios"]] == list(DEFAULT), "each scenario was done"
    for name in DEFAULT:
        if SCENARIOS[name].objective.failed == 0:
            assert drilled.run(name)["measures"]["failed"] == 0, f"{name} loses nothing"
    is_whole(stack)
