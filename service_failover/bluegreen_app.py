"""The guide's sample app: http-echo, which answers with its color, behind an Envoy that can be told to report itself unhealthy.

`POST /healthcheck/fail` on port 19000 makes it unhealthy, `POST /healthcheck/ok` healthy again. For tests it can be slow: with the header
`x-envoy-fault-delay-request: 500` an answer begins 500 milliseconds later, with `x-envoy-fault-throughput-response: 1` it comes at 1 KiB a second;
/stream is an answer that is long enough for that: 3,500 bytes.
"""

from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from service_failover import envoy, pods
from service_failover.addressing import Addressing
from service_failover.apps import HealthFilter
from service_failover.names import APP_NAMESPACE, APP_PORT, ENVOY_IMAGE, HTTP_ECHO_IMAGE, labels, service_of


class BlueGreenAppArgs(TypedDict):
    """Arguments of a BlueGreenApp. Plain values: they go into command lines."""

    color: str
    """What it answers: `blue` gives `"blue-pod"`, with the quotation marks, as in the guide."""
    addressing: Addressing
    """Where it listens, for others and for its own pod: what the cluster says."""
    health_filter: HealthFilter
    """Which requests it answers with 503 while it is unhealthy."""


class BlueGreenApp(pulumi.ComponentResource):
    """Deployment `echo-<color>` and Service `service-<color>`, in the namespace default."""

    def __init__(self, name: str, args: BlueGreenAppArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:BlueGreenApp", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        color = args["color"]
        selector = {"app": "bluegreen", "text": color}
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata={"name": f"echo-{color}", "namespace": APP_NAMESPACE, "labels": {**labels("bluegreen"), **selector}},
            spec=pods.deployment_spec(
                selector=selector,
                labels=labels("bluegreen"),
                service_account=None,
                containers=[
                    echo_container(color=color, addressing=args["addressing"]),
                    envoy_container(addressing=args["addressing"], health_filter=args["health_filter"]),
                ],
                grace_seconds=0,  # as in the guide: a killed app is gone at once, which is what a failover is about
            ),
            opts=within,
        )
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata={
                "name": service_of(color),
                "namespace": APP_NAMESPACE,
                "labels": {**labels("bluegreen"), **selector},
                "annotations": {"pulumi.com/skipAwait": "true"},  # the Deployment says when the app is ready
            },
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "sessionAffinity": "None",
                "ports": [{"name": "color", "port": APP_PORT, "targetPort": APP_PORT, "protocol": "TCP"}],
            },
            opts=within,
        )
        self.register_outputs({})


def echo_container(*, color: str, addressing: Addressing) -> pods.Manifest:
    """http-echo. Listening on all addresses it needs no variable, but gets it all the same: the argument refers to it on an embedded cluster."""
    return pods.container(
        name="echo",
        image=HTTP_ECHO_IMAGE,
        user=pods.NOBODY,
        args=[f'-text="{color}-pod"', f"-listen={addressing['listen_address']}:{envoy.ECHO_PORT}"],
        env=pods.field_env(POD_IP="status.podIP"),
        ports={"echo": envoy.ECHO_PORT},
        cpu="10m",
        memory="32Mi",
        readiness=pods.http_probe(port="echo", path="/health", period=1),
        liveness=pods.http_probe(port="echo", path="/health", period=10),
    )


def envoy_container(*, addressing: Addressing, health_filter: HealthFilter) -> pods.Manifest:
    """The Envoy in front of it.

    Its probes connect and do not ask for /health, nor for the admin port's /ready: after /healthcheck/fail both say no, and an app that is not ready
    would be taken out of the endpoints (and then be restarted). Then Gloo would see it vanish; what the guide shows is a health check that fails.
    """
    bootstrap = envoy.sample_app_bootstrap(addressing, health_filter=health_filter)
    return pods.container(
        name="envoy",
        image=ENVOY_IMAGE,
        user=pods.ENVOY_USER,
        args=[
            "--config-yaml",
            yaml.safe_dump(bootstrap, sort_keys=False),
            "--disable-hot-restart",
            "--log-level",
            "info",
            "--concurrency",
            "1",
            "--file-flush-interval-msec",
            "10",
        ],
        env=pods.field_env(POD_IP="status.podIP"),
        ports={"color": APP_PORT, "admin": envoy.ADMIN_PORT},
        cpu="50m",
        memory="128Mi",
        readiness=pods.tcp_probe(port="color", period=1),
        liveness=pods.tcp_probe(port="color", period=10),
    )
