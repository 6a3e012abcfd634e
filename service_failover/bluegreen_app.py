"""The guide's sample app: http-echo, which answers with its color, behind an Envoy that can be told to report itself unhealthy.

`POST /healthcheck/fail` on port 19000 makes it unhealthy, `POST /healthcheck/ok` healthy again. For tests it can be slow: with the header
`x-envoy-fault-delay-request: 500` an answer begins 500 milliseconds later, with `x-envoy-fault-throughput-response: 1` it comes at 1 KiB a second;
/stream is an answer that is long enough for that: 3,500 bytes. And it can be sick without knowing: after `POST /runtime_modify?sick.percent=100` it
answers everything but /health with 503.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import discovered_upstream_name
from service_failover import envoy, pods
from service_failover.addressing import CONTAINERS, Addressing
from service_failover.apps import HealthFilter
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import APP_NAMESPACE, APP_PORT, ENVOY_IMAGE, HTTP_ECHO_IMAGE, service_of
from service_failover.validation import ADDRESSING, COLOR, IMAGE, NAMESPACE, Plain, arguments, choice, label_map


class BlueGreenAppArgs(TypedDict):
    """Arguments of a BlueGreenApp."""

    color: pulumi.Input[str]
    """What it answers: `blue` gives `"blue-pod"`, with the quotation marks, as in the guide."""
    addressing: NotRequired[pulumi.Input[Addressing]]
    """Where it listens, for others and for its own pod: what the cluster says. Default: what holds where each pod has a network of its own."""
    echo_image: NotRequired[pulumi.Input[str]]
    """Image of http-echo. Default: hashicorp/http-echo in the version that this one is tested with."""
    envoy_image: NotRequired[pulumi.Input[str]]
    """Image of Envoy. Default: envoyproxy/envoy in the version that this one is tested with."""
    health_filter: NotRequired[HealthFilter]
    """Which requests it answers with 503 while it is unhealthy. Plain: it is one of two. Default: everything."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the app. It exists already, and Gloo watches it. Default: default."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes, pods too; this project's own win."""


_checked = arguments(
    BlueGreenAppArgs,
    color=COLOR,
    addressing=ADDRESSING,
    echo_image=IMAGE,
    envoy_image=IMAGE,
    health_filter=Plain(choice(HealthFilter)),
    namespace=NAMESPACE,
    labels=label_map,
)


class BlueGreenApp(pulumi.ComponentResource):
    """Deployment `echo-<color>` and Service `service-<color>`."""

    service_name: pulumi.Output[str]
    """Name of the Service, once it exists."""
    upstream_name: pulumi.Output[str]
    """Name of the Upstream that Gloo discovers for it, `<namespace>-service-<color>-10000`."""

    def __init__(self, name: str, args: BlueGreenAppArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:BlueGreenApp", name, None, whole)
        within = inside(self, objects)
        color = pulumi.Output.from_input(args["color"])
        addressing = pulumi.Output.from_input(args.get("addressing", CONTAINERS))
        health_filter = args.get("health_filter", HealthFilter.EVERYTHING)

        def bootstrap(known: Addressing) -> str:
            return envoy.as_argument(envoy.sample_app_bootstrap(known, health_filter=health_filter))

        selector: dict[str, pulumi.Input[str]] = {"app": "bluegreen", "text": color}
        placed = {"namespace": args.get("namespace", APP_NAMESPACE), "labels": labels("bluegreen", args.get("labels", NO_LABELS), own=selector)}
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata={"name": color.apply(echo_of), **placed},
            spec=pods.deployment_spec(
                selector=selector,
                labels=placed["labels"],
                service_account=None,
                containers=[
                    echo_container(
                        image=args.get("echo_image", HTTP_ECHO_IMAGE),
                        arguments=pulumi.Output.all(color, addressing).apply(lambda known: echo_arguments(*known)),
                    ),
                    envoy_container(image=args.get("envoy_image", ENVOY_IMAGE), bootstrap=addressing.apply(bootstrap)),
                ],
                grace_seconds=0,  # as in the guide: a killed app is gone at once, which is what a failover is about
            ),
            opts=within,
        )
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            # Not awaited: the Deployment says when the app is ready.
            metadata={"name": color.apply(service_of), **placed, "annotations": {"pulumi.com/skipAwait": "true"}},
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "sessionAffinity": "None",
                "ports": [{"name": "color", "port": APP_PORT, "targetPort": APP_PORT, "protocol": "TCP"}],
            },
            opts=within,
        )
        self.service_name = service.metadata["name"]
        self.upstream_name = pulumi.Output.all(service.metadata["namespace"], self.service_name).apply(
            lambda known: discovered_upstream_name(known[0], known[1], APP_PORT)
        )
        self.register_outputs({"service_name": self.service_name, "upstream_name": self.upstream_name})


def echo_of(color: str) -> str:
    """Name of a coloured app's Deployment."""
    return f"echo-{color}"


def echo_arguments(color: str, addressing: Addressing) -> list[str]:
    """The command line of http-echo."""
    return [f'-text="{color}-pod"', f"-listen={addressing['listen_address']}:{envoy.ECHO_PORT}"]


def echo_container(*, image: pulumi.Input[str], arguments: pulumi.Input[Sequence[str]]) -> pods.Manifest:
    """http-echo. Listening on all addresses it needs no variable, but gets it all the same: the argument refers to it on an embedded cluster."""
    return pods.container(
        name="echo",
        image=image,
        user=pods.NOBODY,
        args=arguments,
        env=pods.field_env(POD_IP="status.podIP"),
        ports={"echo": envoy.ECHO_PORT},
        cpu="10m",
        memory="32Mi",
        readiness=pods.http_probe(port="echo", path="/health", period=1),
        liveness=pods.http_probe(port="echo", path="/health", period=10),
    )


def envoy_container(*, image: pulumi.Input[str], bootstrap: pulumi.Input[str]) -> pods.Manifest:
    """The Envoy in front of it.

    Its probes connect and do not ask for /health, nor for the admin port's /ready: after /healthcheck/fail both say no, and an app that is not ready
    would be taken out of the endpoints (and then be restarted). Then Gloo would see it vanish; what the guide shows is a health check that fails.
    """
    return pods.container(
        name="envoy",
        image=image,
        user=pods.ENVOY_USER,
        args=[
            "--config-yaml",
            bootstrap,
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
