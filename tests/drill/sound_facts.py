"""The objects of a stack with which nothing is wrong, and ways to change them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from recorded_stack import model_of, scheme, secret

from drill.causes import Facts
from drill.certificates import Authority, Validity

NOW = datetime.now(UTC)
AUTHORITY = Authority.create("the authority")
SNI = "default-service-green-10000_gloo-system"
SERVER, CLIENT = "failover-gateway.remote", "gateway-proxy.local"
ACCEPTED = {"statuses": {"gloo-system": {"state": "Accepted"}}}


def tls(name: str, identity: str, *, authority: Authority = AUTHORITY, validity: Validity = Validity.NOW, trusts: Authority = AUTHORITY) -> Any:
    return secret(name, {**authority.issue(model_of(identity), validity=validity), "ca.crt": trusts.pem})


def upstream() -> Any:
    config = {"sni": SNI, "verifySubjectAltName": [SERVER], "secretRef": {"name": "failover-upstream", "namespace": "gloo-system"}}
    endpoint = {"address": "10.78.192.1", "port": 15443, "upstreamSslConfig": config}
    return {
        "kind": "Upstream",
        "metadata": {"name": "default-service-blue-10000"},
        "spec": {
            "healthChecks": [{"interval": "1s"}],
            "failover": {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [endpoint]}]}]},
        },
        "status": ACCEPTED,
    }


def virtual_service() -> Any:
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": "default-service-blue-10000"}}}}
    return {"kind": "VirtualService", "metadata": {"name": "default"}, "spec": {"virtualHost": {"domains": ["*"], "routes": [route]}}}


def failover_gateway() -> Any:
    host = {"name": "failover", "sslConfig": {"sniDomains": [SNI], "verifySubjectAltName": [CLIENT]}}
    return {"kind": "Gateway", "metadata": {"name": "failover-gateway"}, "spec": {"tcpGateway": {"tcpHosts": [host]}}, "status": ACCEPTED}


def whole() -> Facts:
    """A stack with which nothing is wrong."""
    return Facts(
        scheme=scheme(),
        upstream="default-service-blue-10000",
        primary=[upstream(), virtual_service()],
        standby=[failover_gateway()],
        client_secret=tls("failover-upstream", CLIENT),
        server_secret=tls("failover-downstream", SERVER),
        since=NOW,
    )


def changed(which: str, change: Callable[[Any], object]) -> Callable[[Facts], Facts]:
    """A change to an object: the scheme, a Secret, or the first object of a kind."""

    def weaken(facts: Facts) -> Facts:
        if hasattr(facts, which):
            value = deepcopy(getattr(facts, which))
            change(value)
            return replace(facts, **{which: value})
        primary, standby = deepcopy(list(facts.primary)), deepcopy(list(facts.standby))
        change(next(each for each in [*primary, *standby] if each["kind"] == which))
        return replace(facts, primary=primary, standby=standby)

    return weaken


def route_options(virtual_service: Any, **options: Any) -> None:
    virtual_service["spec"]["virtualHost"]["routes"][0]["options"] = options


def no_retries(resource: Any) -> None:
    resource["metadata"]["annotations"] = {"servicefailover.dev/failover-retries": "disabled"}
