"""Who serves, in a few lines for a person, out of the statuses of the FailoverSchemes."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Sequence
from typing import Any

Scheme = dict[str, Any]


def schemes(kubectl: Sequence[str]) -> list[Scheme]:
    """The FailoverSchemes of a cluster; none where the cluster has no such kind, or does not answer."""
    done = subprocess.run([*kubectl, "get", "failoverschemes", "-A", "-o", "json"], capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout).get("items", [])) if done.returncode == 0 else []


def described(scheme: Scheme, *, now: datetime.datetime) -> list[str]:
    """One line for the scheme, one for each tier."""
    status = scheme.get("status") or {}
    name = scheme["metadata"]["name"]
    serving = status.get("serving")
    if not serving:
        return [f"{name}: {status.get('state', 'PENDING')}, and not known yet who serves. {status.get('message', '')}".rstrip()]
    lines = [f"{name}: {serving.get('name', '?')} serves since {_ago(serving['since'], now)}: {serving.get('message', '')}"]
    if serving.get("stale"):
        lines.append(f"  this may be old: {serving['stale']}")
    rows = [_tier(tier) for tier in status.get("tiers", [])]
    width = max((len(label) for label, _ in rows), default=0)
    return lines + [f"  {label:<{width}}  {text}" for label, text in rows]


def _tier(tier: dict[str, Any]) -> tuple[str, str]:
    priority = tier["priority"]
    share = tier.get("requestShare")
    parts = [
        f"{tier.get('healthy', 0)} of {tier.get('total', 0)} healthy",
        "no requests lately" if share is None else f"{share} % of the requests",
    ]
    if "proven" in tier:
        parts.append("standby proven" if tier["proven"] else f"STANDBY NOT PROVEN: {tier.get('unprovenReason', '')}")
    label = f"{'primary' if priority == 0 else f'tier {priority}'} ({', '.join(tier.get('clusters', []))})"
    return label, ", ".join(parts)


def _ago(since: str, now: datetime.datetime) -> str:
    seconds = max(0, int((now - datetime.datetime.fromisoformat(since)).total_seconds()))
    return f"{since} ({seconds // 3600}h{seconds // 60 % 60:02}m{seconds % 60:02}s)"
