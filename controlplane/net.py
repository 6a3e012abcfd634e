"""Addresses: `host:port`, and the realisation of cluster addresses on this host.

An embedded cluster has no network of its own. Its objects hold addresses of an ordinary range; each is *realised* on loopback by changing the
network's bits. That is one function, used where an endpoint is sent to Envoy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`; ValueError says what is wrong."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{address!r} is not host:port with a port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def require_loopback(address: str) -> None:
    """ValueError unless `host:port` is on loopback: what has no login is not to be had over the network."""
    host, _ = split_address(address)
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(f"{address!r} is not on loopback, and the console has no login: use 127.0.0.1:9980 and a port-forward")


def realiser(rule: str | None) -> Callable[[str], str]:
    """The function of a rule `from-network=to-network` (same size); without a rule, and for addresses outside, it changes nothing."""
    if not rule:
        return lambda address: address
    try:
        source, target = (ipaddress.ip_network(part) for part in rule.split("=", 1))
    except ValueError as error:
        raise ValueError(f"--realise {rule!r}: expected <network>=<network>, for instance 10.64.0.0/10=127.64.0.0/10 ({error})") from error
    if source.version != target.version or source.prefixlen != target.prefixlen:
        raise ValueError(f"--realise {rule!r}: both networks must be of one size")
    offset = int(target.network_address) - int(source.network_address)

    def realise(address: str) -> str:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return address  # A host name.
        return str(parsed + offset) if parsed in source else address

    return realise


def namer(rule: str | None) -> Callable[[str], str]:
    """The inverse of `realiser(rule)`: what Kubernetes calls an address that a socket has opened. For people, who look it up there."""
    return realiser("=".join(reversed(rule.split("=", 1))) if rule else None)
