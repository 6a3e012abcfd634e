"""Electors of one lease against an API double."""

from __future__ import annotations

from support_api import ApiDouble

from controlplane.kube.election import Timing
from controlplane.kube.leases import Leader

QUICK = Timing(lease=1, renew=0.6, retry=0.15)
PATIENT = Timing(lease=60, renew=40, retry=0.2)
"""Nothing expires within a test."""


def elector(api: ApiDouble, name: str, timing: Timing = PATIENT) -> Leader:
    return Leader(client=api.client(), namespace="gloo-system", name="gloo", identity=name, timing=timing)
