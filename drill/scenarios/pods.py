"""Pods go away by the Kubernetes API: one is deleted, a Deployment is scaled to zero, both apps are."""

from __future__ import annotations

from drill.containers import pods, wait_until_ready
from drill.record import Objective
from drill.scaling import scale_back, scale_to_zero
from drill.scenario import Expected, Scenario
from drill.target import Target

BACK_WITHIN = 20.0
"""Seconds until a Deployment that was scaled up serves: a pod starts, and a health check passes."""


def _delete_pods(target: Target) -> None:
    names = [pod["metadata"]["name"] for pod in pods(target, target.primary.envoy)]
    target.mark(f"kubectl delete pod {' '.join(names)}")
    target.kubectl(target.primary.cluster, "delete", "pod", "-n", target.primary.envoy.namespace, "--wait=false", *names)


def _wait_for_primary(target: Target) -> None:
    wait_until_ready(target, target.primary.envoy)


def _scale_primary_to_zero(target: Target) -> None:
    scale_to_zero(target, target.primary.envoy)


def _scale_primary_back(target: Target) -> None:
    scale_back(target, target.primary.envoy)


def _scale_both_to_zero(target: Target) -> None:
    scale_to_zero(target, target.primary.envoy, target.standby.envoy)


def _scale_both_back(target: Target) -> None:
    scale_back(target, target.primary.envoy, target.standby.envoy)


DELETED = Scenario(
    name="pod-deleted",
    title="The app's pods are deleted",
    text="kubectl delete pod, of all pods of the primary; they have no time to end well, as in the guide. The standby serves until the Deployment "
    "has made new ones; then the primary serves again by itself, and the switch that is measured is the one back to it.",
    objective=Objective(switch_within=10),
    expected_during=Expected.BLUE,
    hold=5,
    settle=2,
    break_=_delete_pods,
    heal=_wait_for_primary,
)

SCALED_TO_ZERO = Scenario(
    name="scaled-to-zero",
    title="The app is scaled to zero",
    text="kubectl scale --replicas=0 of the primary's Deployment: its Service has no endpoints any more.",
    objective=Objective(recover_within=BACK_WITHIN),
    expected_during=Expected.GREEN,
    hold=4,
    settle=4,
    break_=_scale_primary_to_zero,
    heal=_scale_primary_back,
)

BOTH_DOWN = Scenario(
    name="both-down",
    title="Both sides are down",
    text="Both Deployments are scaled to zero. Nobody is left to answer, so requests fail; what is promised is how: with a complete answer, "
    "503, within the time that the gateway has for a request, and no longer than it takes a pod to start. Some are answered late: the gateway "
    "tries again, and meets the app that is back.",
    objective=Objective(
        failed=None,
        failed_reason="nobody is left to answer",
        only_status=True,
        answered_within=16.0,
        switch_within=None,
        recover_within=BACK_WITHIN,
        failback_failed=None,
    ),
    expected_during=Expected.NOBODY,
    hold=3,
    settle=5,
    break_=_scale_both_to_zero,
    heal=_scale_both_back,
)
