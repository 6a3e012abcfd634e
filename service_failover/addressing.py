"""Where processes of a cluster listen, and how others find them: addresses, Services, names. It opens no socket."""

import ipaddress
from typing import NotRequired, TypedDict


class Addressing(TypedDict):
    """What components need to know of a cluster's network. Addresses may refer to the variable POD_IP, which containers then have."""

    listen_address: str
    """Address on which a container listens for others."""
    loopback_address: str
    """Address on which a container listens for the containers of its own pod."""
    realise: NotRequired[str]
    """How addresses of pods and Services become ones that can be dialled, `CIDR=CIDR`. Absent where they can be as they are."""
    service_type: NotRequired[str]
    """Type of the Services that are reached from outside of the cluster, LoadBalancer or NodePort. Default: LoadBalancer."""
    dns_policy: NotRequired[str]
    """dnsPolicy of the pods that call other clusters. Default: ClusterFirst."""


EMBEDDED: Addressing = {
    # Containers share the network of the machine, so each uses the address of its pod, for its own pod as well as for others.
    "listen_address": "$(POD_IP)",
    "loopback_address": "$(POD_IP)",
    # Kubernetes refuses loopback addresses for pods and Services. They have ordinary ones, realised on loopback by another first octet.
    "realise": "10.64.0.0/10=127.64.0.0/10",
}

CONTAINERS: Addressing = {"listen_address": "0.0.0.0", "loopback_address": "127.0.0.1"}  # noqa: S104 - a pod's own network
"""Where each pod has a network of its own."""

KIND: Addressing = {
    **CONTAINERS,
    # No load balancer. Nodes of one Docker network reach each other, and this machine reaches the ports that a node maps.
    "service_type": "NodePort",
    # Docker tells nodes where the other clusters' nodes are, after a restart too. The cluster's own DNS could only pass the question on.
    "dns_policy": "Default",
}
"""Where nodes are containers of one Docker network."""


def realised(address: str, mapping: str | None) -> str:
    """`address`, if it is in the first network of `mapping`, at the same place in the second: 10.77.192.1 becomes 127.77.192.1."""
    if mapping is None:
        return address
    source, target = (ipaddress.ip_network(network) for network in mapping.split("="))
    parsed = ipaddress.ip_address(address)
    return str(target[int(parsed) - int(source.network_address)]) if parsed in source else address
