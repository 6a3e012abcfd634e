"""How a gateway proxy ends without losing a request: its clients are asked to connect anew before it goes. Plain manifests, no Pulumi.

Told to end Envoy ends at once, with what it has in hand. So Kubernetes first runs a hook in its container. Meanwhile the pod is on its way out:
Services send new connections elsewhere, and what still arrives is served.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from service_failover import pods
from service_failover.addressing import Addressing
from service_failover.envoy import ADMIN_PORT

QUIET_SECONDS = 3
"""Without any client for so long: by then every node knows that the pod is on its way out."""
LONGEST_SECONDS = 20
"""As long as clients keep their connections. More than a request may take by default (15 s); what lasts longer, as a WebSocket, is cut."""
GRACE_SECONDS = LONGEST_SECONDS + 10
"""For the hook and Envoy's own end."""


def drained_first(addressing: Addressing) -> pods.Manifest:
    """`lifecycle` of the container. Kubernetes replaces no $(NAME) in a hook, but the shell has the same variables."""
    host = addressing["loopback_address"].replace("$(POD_IP)", "$POD_IP")
    variables = f"ADMIN={host}/{ADMIN_PORT} QUIET={QUIET_SECONDS} LONGEST={LONGEST_SECONDS}\n"
    return {"preStop": {"exec": {"command": ["bash", "-c", variables + _script()]}}}


@cache
def _script() -> str:
    return Path(__file__).with_name("drain.sh").read_text()
