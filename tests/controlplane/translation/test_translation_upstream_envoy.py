"""Upstreams in a real Envoy: it accepts every field, and does with it what the rules count on.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import on_loopback, pod, validate, write_bootstrap
from translation_support import BLUE, SSL_CONFIG, blue, failover, kube, lb_endpoint, report_of, translated, upstream
from upstream_fields import FIELDS, TLS_FIELDS

from gloo_api.header_format import COMMANDS
from gloo_api.ssl import CipherSuite, EcdhCurve
from gloo_api.status import EdgeState
from gloo_api.upstream import Upstream

pytestmark = pytest.mark.envoy

SLOWEST_CHECK = {"timeout": "315360000s", "interval": "315360000s", "unhealthyThreshold": 2**32 - 1, "healthyThreshold": 2**32 - 1}
ADMIN = (on_loopback(pod(30)), 19000)
HOSTS = [{"addr": "10.77.0.1", "port": 443}, {"addr": "example.com", "port": 443, "sniAddr": "other.example.com", "loadBalancingWeight": 3}]


_TOGETHER = 15
"""Upstreams in one Envoy: each one's endpoints come from a file that it watches, and the kernel lets a user watch few."""


def accepted(folder: Path, *upstreams: Upstream) -> None:
    """Envoy validates them all, some at a time, each as a cluster of its own."""
    for first in range(0, len(upstreams), _TOGETHER):
        _accepted(folder / str(first), upstreams[first : first + _TOGETHER])


def _accepted(folder: Path, upstreams: Sequence[Upstream]) -> None:
    given = translated(*upstreams)
    for each in upstreams:
        report = report_of(given, "Upstream", each.metadata.name)
        assert report.state is not EdgeState.REJECTED, f"{each.to_object()['spec']}: {report.reason}"
    said = validate(write_bootstrap(given, folder, admin=ADMIN))
    assert said.returncode == 0, f"what is accepted here must be accepted by Envoy: {said.stderr}"
    assert "deprecated" not in said.stderr.lower(), f"what is deprecated today is refused tomorrow: {said.stderr}"


def test_envoy_accepts_every_field(tmp_path: Path) -> None:
    plain = [upstream(f"plain-{index}", {"kube": kube("blue"), **spec}) for index, (spec, _, _) in enumerate(FIELDS)]
    with_failover = [
        upstream(f"failover-{index}", {"kube": kube("blue"), "failover": failover(lb_endpoint()), **spec})
        for index, (spec, _, _) in enumerate(FIELDS)
    ]
    accepted(tmp_path, *plain, *with_failover)


def test_envoy_accepts_every_tls_field_suite_and_curve(tmp_path: Path) -> None:
    everything: dict[str, Any] = {"parameters": {"cipherSuites": list(CipherSuite), "ecdhCurves": list(EcdhCurve)}}
    configs = [config for config, _, _ in TLS_FIELDS] + [everything, {"oneWayTls": True}]
    given = [upstream(f"tls-{index}", {"kube": kube("blue"), "sslConfig": {**SSL_CONFIG, **config}}) for index, config in enumerate(configs)]
    far = [blue(failover=failover(lb_endpoint(upstreamSslConfig={**SSL_CONFIG, **everything})))]
    accepted(tmp_path, *given, *far, upstream("static", {"static": {"hosts": HOSTS}, "sslConfig": SSL_CONFIG}))


def test_envoy_accepts_every_header_format_that_is_allowed(tmp_path: Path) -> None:
    values = [f"%{command}%" for command in COMMANDS] + ["%REQ(x-a)%", "%REQ(:path?x-b):5%", "%RESP(x-a)%", "100%%"]
    headers = [{"header": {"key": "x-a", "value": value}} for value in values]
    check = {**SLOWEST_CHECK, "httpHealthCheck": {"path": "/", "requestHeadersToAdd": headers}}
    accepted(tmp_path, upstream(BLUE, {"kube": kube("blue"), "healthChecks": [check]}))


def test_envoy_accepts_the_extremes(tmp_path: Path) -> None:
    """The longest durations and the largest numbers that the models let through."""
    longest, most = "315360000s", 2**32 - 1
    times = ("noTrafficInterval", "unhealthyInterval", "unhealthyEdgeInterval", "healthyEdgeInterval", "initialJitter", "intervalJitter")
    check = {**SLOWEST_CHECK, **dict.fromkeys(times, longest), "intervalJitterPercent": most, "httpHealthCheck": {"path": "/"}}
    outlier = {"interval": longest, "baseEjectionTime": longest, "consecutive5xx": most, "successRateStdevFactor": most}
    limits = dict.fromkeys(("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries"), most)
    options = {"idleTimeout": longest, "maxStreamDuration": longest, "maxHeadersCount": 32768}
    connections = {"connectTimeout": longest, "maxRequestsPerConnection": most, "perConnectionBufferLimitBytes": most}
    tiers = {"prioritizedLocalities": failover(*(lb_endpoint(f"10.78.1.{n}") for n in range(128)))["prioritizedLocalities"]}
    accepted(
        tmp_path,
        blue(
            healthChecks=[check],
            outlierDetection=outlier,
            circuitBreakers=limits,
            connectionConfig={**connections, "commonHttpProtocolOptions": options},
            loadBalancerConfig={"leastRequest": {"choiceCount": most, "slowStartConfig": {"slowStartWindow": longest, "aggression": 0.001}}},
            failover={**tiers, "policy": {"overprovisioningFactor": most}},
        ),
    )
