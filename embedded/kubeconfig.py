"""Kubeconfig files as text. Certificates and keys are embedded, so that one string is all a client needs."""

from __future__ import annotations

import base64
import json

REALISE_EXTENSION = "servicefailover.dev/realise"
"""Name of the extension that says how addresses of the cluster become ones that can be dialled, `CIDR=CIDR`."""


def kubeconfig(*, cluster: str, context: str, user: str, server: str, realise: str, ca: str, certificate: str, key: str) -> str:
    """A kubeconfig with one context; `ca`, `certificate` and `key` are PEM. It is JSON, which is YAML, with the same bytes for the same input."""
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": cluster,
                        "cluster": {
                            "server": server,
                            "certificate-authority-data": _encoded(ca),
                            # Whoever gets only this file has to know that the cluster's addresses are not to be dialled as they are.
                            "extensions": [{"name": REALISE_EXTENSION, "extension": {"addresses": realise}}],
                        },
                    }
                ],
                "users": [{"name": user, "user": {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}}],
                "contexts": [{"name": context, "context": {"cluster": cluster, "user": user, "namespace": "default"}}],
                "current-context": context,
            },
            indent=1,
        )
        + "\n"
    )


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode("ascii")).decode("ascii")
