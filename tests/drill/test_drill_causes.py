"""What is found to be wrong with a stack: nothing where nothing is, and each weakness by what a user would have to change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from recorded_stack import model_of, scheme, secret
from sound_facts import AUTHORITY, CLIENT, NOW, SERVER, SNI, changed, no_retries, route_options, tls, upstream, virtual_service, whole

from drill.causes import Facts, find_causes
from drill.certificates import Authority, Validity

pytestmark = pytest.mark.unit


def test_nothing_is_wrong_with_a_stack_that_is_whole() -> None:
    assert find_causes(whole(), now=NOW) == ()


@dataclass(frozen=True, kw_only=True)
class Weakness:
    """What is wrong, and what is to be said of it."""

    weaken: Callable[[Facts], Facts]
    says: str


def retries(virtual_service: Any) -> None:
    virtual_service["spec"]["virtualHost"]["options"] = {"retries": {"retryOn": "5xx", "numRetries": 0}}


def proxy(*, ready_since: datetime, ready: str = "True", created: datetime = NOW - timedelta(hours=1), **metadata: str) -> Any:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": stamp(ready_since), "message": "containers with unready status: [envoy]"}
    known = {"name": "gateway-proxy-1", "namespace": "gloo-system", "creationTimestamp": stamp(created)}
    return {"metadata": {**known, **metadata}, "status": {"conditions": [condition]}}


def stamp(at: datetime) -> str:
    """As Kubernetes writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(gateway: Any) -> None:
    gateway["status"] = {"statuses": {"gloo-system": {"state": "Rejected", "reason": "bindPort: 0 is not allowed"}}}


def tcp_host(gateway: Any) -> Any:
    return gateway["spec"]["tcpGateway"]["tcpHosts"][0]["sslConfig"]


def broken_pem(secret: Any) -> None:
    secret["data"]["tls.crt"] = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()


ELSE = Authority.create("somebody else")
WEAKNESSES = {
    "no scheme": Weakness(weaken=lambda facts: replace(facts, scheme=None), says="there is no FailoverScheme"),
    "a scheme that is not in force": Weakness(
        weaken=changed("scheme", lambda each: each.update(status={"state": "INVALID", "message": "no cluster east"})),
        says="FailoverScheme 'failover-scheme' is INVALID, not in force: no cluster east",
    ),
    "a standby that is not proven": Weakness(
        weaken=lambda facts: replace(facts, scheme=scheme(proven=False)), says="the standby with priority 1 is not proven: it failed its check"
    ),
    "panic": Weakness(
        weaken=changed("scheme", lambda each: each["status"]["serving"].update(message="priority 0; in panic, Envoy sends to all")),
        says="the gateway is in panic",
    ),
    "no health check": Weakness(
        weaken=changed("Upstream", lambda each: each["spec"].pop("healthChecks")), says="Upstream 'default-service-blue-10000' has no health check"
    ),
    "a health check that is slow to trust": Weakness(
        weaken=changed("Upstream", lambda each: each["spec"]["healthChecks"][0].update(healthyThreshold=50)),
        says="only after 50 good answers, 1.00 s apart (spec.healthChecks[0]: healthyThreshold, unhealthyInterval or interval): "
        "it serves again 50.0 s after it is",
    ),
    "a long interval while it is unhealthy": Weakness(
        weaken=changed("Upstream", lambda each: each["spec"]["healthChecks"][0].update(unhealthyInterval="60s")),
        says="only after 1 good answers, 60.0 s apart",
    ),
    "a health check that is slow to notice": Weakness(
        weaken=changed("Upstream", lambda each: each["spec"]["healthChecks"][0].update(unhealthyThreshold=3, timeout="1s")),
        says="an app that is silent is noticed after up to 6.00 s",
    ),
    "no VirtualService": Weakness(
        weaken=lambda facts: replace(facts, primary=[upstream()]), says="there is no VirtualService in local: the gateway sends nothing anywhere"
    ),
    "a route that waits": Weakness(
        weaken=changed("VirtualService", lambda each: route_options(each, timeout="60s")),
        says="VirtualService 'default' lets a request wait 60.0 s where nobody answers (routes[0].options.timeout: 60s)",
    ),
    "a route that waits for ever": Weakness(
        weaken=changed("VirtualService", lambda each: route_options(each, timeout="0s")), says="lets a request wait for ever"
    ),
    "a gateway that was too busy": Weakness(
        weaken=lambda facts: replace(facts, since=NOW - timedelta(minutes=1), gateways=[proxy(ready_since=NOW)]),
        says="pod 'gateway-proxy-1' in local was not ready for a time, until ",
    ),
    "a gateway that is too busy": Weakness(
        weaken=lambda facts: replace(facts, since=NOW - timedelta(minutes=1), gateways=[proxy(ready_since=NOW, ready="False")]),
        says="pod 'gateway-proxy-1' in local is not ready, so clients do not get to it: containers with unready status: [envoy]",
    ),
    "no failover": Weakness(weaken=changed("Upstream", lambda each: each["spec"].pop("failover")), says="has no failover (spec.failover)"),
    "a duration that is none": Weakness(
        weaken=changed("VirtualService", lambda each: (route_options(each, timeout="soon"), refused(each))),
        says="VirtualService 'default' in local has state Rejected",
    ),
    "no Upstream": Weakness(
        weaken=lambda facts: replace(facts, primary=[virtual_service()]), says="there is no Upstream 'default-service-blue-10000'"
    ),
    "retries of the VirtualService's own": Weakness(
        weaken=changed("VirtualService", retries),
        says="VirtualService 'default' sets retries of its own (virtualHost.options.retries: retryOn 5xx, numRetries 0)",
    ),
    "retries of a route's own": Weakness(
        weaken=changed("VirtualService", lambda each: route_options(each, retries={})), says="(routes[0].options.retries: none)"
    ),
    "no retries by annotation": Weakness(weaken=changed("VirtualService", no_retries), says="VirtualService 'default' has no retries"),
    "no retries of the Upstream": Weakness(weaken=changed("Upstream", no_retries), says="Upstream 'default-service-blue-10000' has no retries"),
    "a refused Gateway": Weakness(
        weaken=changed("Gateway", refused), says="Gateway 'failover-gateway' in remote has state Rejected: bindPort: 0 is not allowed"
    ),
    "no failover Gateway": Weakness(weaken=lambda facts: replace(facts, standby=[]), says="remote has no failover Gateway"),
    "a wrong SNI": Weakness(
        weaken=changed("Gateway", lambda each: tcp_host(each).update(sniDomains=["something-else"])),
        says=f"asks remote for the server name '{SNI}' (SNI), and the failover Gateway there serves only something-else",
    ),
    "a client that is not let in": Weakness(
        weaken=changed("Gateway", lambda each: tcp_host(each).update(verifySubjectAltName=["gateway-proxy.east"])),
        says=f"Secret 'failover-upstream' in local: its certificate is for {CLIENT}; the other side expects gateway-proxy.east",
    ),
    "no client certificate": Weakness(weaken=lambda facts: replace(facts, client_secret=None), says="Secret 'failover-upstream' in local is missing"),
    "no server certificate": Weakness(
        weaken=lambda facts: replace(facts, server_secret=None), says="Secret 'failover-downstream' in remote is missing"
    ),
    "no authority": Weakness(
        weaken=changed("server_secret", lambda each: each["data"].pop("ca.crt")), says="Secret 'failover-downstream' in remote has no ca.crt"
    ),
    "no certificate at all": Weakness(
        weaken=changed("server_secret", broken_pem), says="Secret 'failover-downstream' in remote: tls.crt is no PEM certificate"
    ),
    "an expired certificate": Weakness(
        weaken=lambda facts: replace(facts, server_secret=tls("failover-downstream", SERVER, validity=Validity.ENDED)),
        says="Secret 'failover-downstream' in remote: its certificate has expired, on ",
    ),
    "a certificate for somebody else": Weakness(
        weaken=lambda facts: replace(facts, server_secret=tls("failover-downstream", "failover-gateway.east")),
        says="its certificate is for failover-gateway.east; the other side expects failover-gateway.remote",
    ),
    "a certificate of another authority": Weakness(
        weaken=lambda facts: replace(facts, server_secret=tls("failover-downstream", SERVER, authority=ELSE)),
        says="its certificate is of no authority that Secret 'failover-upstream' in local has in ca.crt",
    ),
}


@pytest.mark.parametrize("weakness", [pytest.param(weakness, id=name) for name, weakness in WEAKNESSES.items()])
def test_a_weakness_is_named_and_nothing_else_is(weakness: Weakness) -> None:
    found = find_causes(weakness.weaken(whole()), now=NOW)
    assert len(found) == 1, f"one thing is wrong: {found}"
    assert weakness.says in found[0]


def test_a_certificate_of_tomorrow_is_named() -> None:
    found = find_causes(whole(), now=NOW - timedelta(days=1))
    assert any("its certificate is not valid before" in cause for cause in found)


def test_of_several_authorities_one_that_is_good_is_enough() -> None:
    facts = whole()
    both = secret("failover-upstream", {**AUTHORITY.issue(model_of(CLIENT)), "ca.crt": ELSE.pem + AUTHORITY.pem})
    assert find_causes(replace(facts, client_secret=both), now=NOW) == (), "as in the middle of a rotation"


def test_what_cannot_be_asked_is_said_and_nothing_is_guessed() -> None:
    unknown = ["not known, as it cannot be asked: kubectl get secrets in cluster 'remote': refused"]
    assert find_causes(replace(whole(), server_secret=None, unknown=unknown), now=NOW) == tuple(unknown), "it may well be there"


def test_a_gateway_that_stayed_ready_or_was_just_made_is_no_cause() -> None:
    hour = timedelta(hours=1)
    sound = [
        proxy(ready_since=NOW - hour),
        proxy(ready_since=NOW, created=NOW - timedelta(seconds=2)),
        proxy(ready_since=NOW, ready="False", deletionTimestamp=stamp(NOW)),
        {"metadata": {"name": "gateway-proxy-2", "creationTimestamp": stamp(NOW - hour)}, "status": {}},
    ]
    assert find_causes(replace(whole(), gateways=sound, since=NOW - timedelta(minutes=1)), now=NOW) == ()


def test_a_gateway_that_was_made_in_the_second_of_the_start_was_just_made() -> None:
    began = NOW.replace(microsecond=0) - timedelta(minutes=1) + timedelta(milliseconds=500)
    made = proxy(created=began + timedelta(milliseconds=100), ready_since=began + timedelta(seconds=2))
    assert find_causes(replace(whole(), gateways=[made], since=began), now=NOW) == (), "Kubernetes has cut its time off to before the start"
