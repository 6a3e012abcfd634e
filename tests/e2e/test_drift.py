"""Somebody edits by kubectl what the program made: `pulumi refresh` shows it, `make up` and `pulumi up --refresh` put it right."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import LiveStack, until

pytestmark = pytest.mark.e2e

UPSTREAM = ("upstream", "-n", "gloo-system", "default-service-blue-10000")
IN_GLOO = ("-n", "gloo-system")


def edit_health_check(stack: LiveStack) -> None:
    """Another interval, in a list that the editor now owns as a whole."""
    check = stack.get("local", *UPSTREAM)["spec"]["healthChecks"][0] | {"interval": "7s"}
    stack.kubectl("local", "patch", *UPSTREAM, "--type=merge", "-p", json.dumps({"spec": {"healthChecks": [check]}}))


EDITS: dict[str, Callable[[LiveStack], object]] = {
    "local-gloo-gloo-system-role": lambda stack: stack.kubectl("local", "delete", "role", *IN_GLOO, "gloo"),
    "remote-registration-kubeconfig": lambda stack: stack.kubectl("local", "delete", "secret", "-n", "gloo-fed", "remote"),
    "primary-upstream": edit_health_check,
    "local-blue-deployment": lambda stack: stack.kubectl("local", "scale", "deployment", "echo-blue", "--replicas=2"),
    "remote-failover-gateway-service": lambda stack: stack.kubectl(
        "remote",
        "patch",
        "service",
        *IN_GLOO,
        "failover",
        "--type=json",
        "-p",
        '[{"op": "replace", "path": "/spec/ports/0/nodePort", "value": 32001}]',
    ),
}
"""What is edited, by the name of its resource."""


def drift(stack: LiveStack) -> set[str]:
    """The resources that a refresh finds changed or gone, by name; nothing is recorded."""
    refreshed = stack.pulumi("refresh", "--preview-only", "--json", "-s", stack.name)
    assert refreshed.returncode == 0, f"a refresh always works: {refreshed.stdout[-3000:]}{refreshed.stderr[-2000:]}"
    steps = json.loads(refreshed.stdout)["steps"]
    return {
        step["urn"].rpartition("::")[2] for step in steps if step["op"] in ("delete", "update") or step.get("detailedDiff") or step.get("diffReasons")
    }


def test_what_gloo_and_federation_write_is_no_drift(stack: LiveStack) -> None:
    spec = stack.get("local", *UPSTREAM)["spec"]
    assert spec["failover"], "Gloo Federation has written into the spec of the Upstream that the program made"
    quiet = stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "-s", stack.name)
    assert quiet.returncode == 0, f"that is no drift: {quiet.stdout[-3000:]}{quiet.stderr[-2000:]}"


def test_an_edit_by_kubectl_is_shown_by_refresh_and_repaired_by_up(stack: LiveStack) -> None:
    for edit in EDITS.values():
        edit(stack)
    preview = stack.pulumi("refresh", "--preview-only", "--diff", "-s", stack.name).stdout
    for resource in EDITS:
        assert f"::{resource}]" in preview, f"the edit of {resource} is shown: {preview[-6000:]}"
    up = stack.cli("up")
    assert up.returncode == 0, f"`make up` puts it right: {up.stdout[-6000:]}{up.stderr[-3000:]}"
    assert stack.kubectl("local", "get", "role", *IN_GLOO, "gloo"), "what was deleted is back"
    assert stack.kubectl("local", "get", "secret", "-n", "gloo-fed", "remote"), "what was deleted is back"
    spec = stack.get("local", *UPSTREAM)["spec"]
    assert spec["healthChecks"][0]["interval"] == "1s", "an edited field is as the program says, whoever owned it since"
    assert spec["failover"], "and what is Gloo Federation's is still there"
    assert stack.get("local", "deployment", "echo-blue")["spec"]["replicas"] == 1, "scaled back"
    assert stack.get("remote", "service", *IN_GLOO, "failover")["spec"]["ports"][0]["nodePort"] == 32000, "the guide's port"
    test_what_gloo_and_federation_write_is_no_drift(stack)


def test_an_edit_is_repaired_by_hand_too(stack: LiveStack) -> None:
    stack.kubectl("local", "scale", "deployment", "echo-blue", "--replicas=2")
    up = stack.pulumi("up", "--refresh", "--yes", "--skip-preview", "-s", stack.name)
    assert up.returncode == 0, f"in a shell that `make env` has prepared: {up.stdout[-3000:]}{up.stderr[-2000:]}"
    until("one replica again", lambda: stack.get("local", "deployment", "echo-blue")["spec"]["replicas"] == 1)
