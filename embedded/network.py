"""The addresses of an embedded cluster, as arithmetic on one octet. Opens no socket.

The API server refuses loopback addresses in EndpointSlices, so objects hold addresses of 10.N.0.0/16. Each is realised, where a socket is opened, on
loopback by changing the first octet: 10.77.0.5 as 127.77.0.5. One rule serves every cluster, so one cluster can reach another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

REALISE = "10.64.0.0/10=127.64.0.0/10"
"""The rule in the form that the node agent and the control plane take it."""

OCTETS = range(77, 127)
"""Second octets that a cluster can have: within the rule, and out of the way of addresses often used below 127.0.0.0/8 (127.0.0.x, 127.0.1.1)."""


class Port(IntEnum):
    """Ports on the node's address."""

    ETCD = 2379
    ETCD_PEER = 2380
    API_SERVER = 6443
    NODE_AGENT = 10250
    CONTROLLER_MANAGER = 10257
    SCHEDULER = 10259


@dataclass(frozen=True)
class Network:
    """Network 10.N.0.0/16 of the cluster with octet N."""

    octet: int

    @property
    def node_address(self) -> str:
        """The node's address as API objects hold it."""
        return f"10.{self.octet}.0.1"

    @property
    def host(self) -> str:
        """The node's address as sockets use it."""
        return f"127.{self.octet}.0.1"

    @property
    def pod_cidr(self) -> str:
        return f"10.{self.octet}.0.0/18"

    @property
    def service_cidr(self) -> str:
        return f"10.{self.octet}.128.0/18"

    @property
    def load_balancer_cidr(self) -> str:
        return f"10.{self.octet}.192.0/18"

    @property
    def api_service_addresses(self) -> tuple[str, str]:
        """Address of the Service `kubernetes`, the first one of the range: as objects hold it, and realised."""
        return f"10.{self.octet}.128.1", f"127.{self.octet}.128.1"

    @property
    def realised_prefix(self) -> str:
        """What every address that this cluster's sockets use begins with."""
        return f"127.{self.octet}."

    def at(self, port: Port) -> str:
        """`host:port` of a part of the control plane."""
        return f"{self.host}:{int(port)}"

    def url(self, port: Port) -> str:
        return f"https://{self.at(port)}"
