"""Certificates of a running stack, replaced while it serves: the Secrets of both sides, and new connections that prove them."""

from __future__ import annotations

from drill import certificates
from drill.certificates import Authority, Side
from tests.e2e.conftest import LiveStack, until
from tests.e2e.faults import GATEWAY, GREEN_ENVOY, PRIMARY, counted, frozen, hosts, pid_of, settled

__all__ = ["Authority", "Side"]

HANDSHAKES = f"{PRIMARY}.ssl.handshake"
"""Counter of Envoy: TLS connections to green."""


def sides(stack: LiveStack) -> tuple[Side, Side]:
    """The server's side (the failover gateway of green's cluster) and the client's (the proxy of blue's)."""
    return certificates.sides(stack.target)


def connect_anew(stack: LiveStack) -> None:
    """Make the gateway drop its connections to green, by a green that hangs until it is found out, and prove that new ones can be made."""
    settled(stack)
    handshakes = counted(stack, GATEWAY, HANDSHAKES)
    with frozen(pid_of(stack, GREEN_ENVOY)):
        until("the gateway has given up its connections to green", lambda: any(not host.healthy for host in hosts(stack)))
    settled(stack)
    assert counted(stack, GATEWAY, HANDSHAKES) > handshakes, "the health check went over a new connection, and so with the new certificates"
