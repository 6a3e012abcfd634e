"""Annotations that change when a pod has to start anew."""

from __future__ import annotations

import hashlib

import pulumi


def stamp(certificate_pem: pulumi.Input[str]) -> dict[str, pulumi.Output[str]]:
    """An annotation that names a certificate by its hash. A process reads its certificate when it starts, so a new certificate needs a new pod."""
    fingerprint = pulumi.Output.from_input(certificate_pem).apply(lambda pem: hashlib.sha256(pem.encode()).hexdigest()[:16])
    return {"servicefailover.dev/certificate": fingerprint}
