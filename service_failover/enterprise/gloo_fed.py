"""Gloo Federation of Solo.io on the management cluster, by its own Helm chart.

    EnterpriseGlooFed
    ├─ Namespace
    └─ Release gloo-fed (chart gloo-fed), which brings the definitions of fed.solo.io and multicluster.solo.io

It offers what `GlooFed` offers. It is not a part of the release of Gloo Enterprise, which could hold it too: so it is in the guide's namespace, and
may run in a cluster of its own.
"""

from typing import Any, NotRequired, TypedDict

import pulumi

from service_failover.edition_settings import A_REPOSITORY, A_VERSION, CHART_REPOSITORY, CHART_VERSION
from service_failover.enterprise import charts
from service_failover.labels import NO_LABELS, Labels
from service_failover.names import FED_NAMESPACE
from service_failover.namespaces import own_namespace
from service_failover.validation import FLAG, NAMESPACE, arguments, label_map, secret_text, text

RELEASE = "gloo-fed"


class EnterpriseGlooFedArgs(TypedDict):
    """Arguments of EnterpriseGlooFed."""

    license_key: pulumi.Input[str]
    """Licence key of Gloo Enterprise. Secret."""
    version: NotRequired[pulumi.Input[str]]
    """Version of the chart. Default: the one that this was written for."""
    repository: NotRequired[pulumi.Input[str]]
    """URL of a Helm repository that has the chart, such as a mirror of one's own. Default: Solo's."""
    create_namespace: NotRequired[bool]
    """Whether the namespace is to be created. Plain: it decides whether there is a resource. Default: yes."""
    namespace: NotRequired[pulumi.Input[str]]
    """Its own namespace, where it looks for FailoverSchemes. Default: gloo-fed."""
    labels: NotRequired[Labels]
    """Labels for the namespace; the chart's objects have the chart's."""


_checked = arguments(
    EnterpriseGlooFedArgs,
    license_key=secret_text,
    version=text(CHART_VERSION, A_VERSION, longest=64),
    repository=text(CHART_REPOSITORY, A_REPOSITORY),
    create_namespace=FLAG,
    namespace=NAMESPACE,
    labels=label_map,
)


class EnterpriseGlooFed(pulumi.ComponentResource):
    """Gloo Federation, in a namespace of its own."""

    namespace: pulumi.Output[str]
    """Its namespace."""

    def __init__(self, name: str, args: EnterpriseGlooFedArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:EnterpriseGlooFed", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        place = args.get("namespace", FED_NAMESPACE)
        namespace = own_namespace(name, namespace=place, create=args.get("create_namespace", True), given=args.get("labels", NO_LABELS), opts=own)
        release = charts.install(
            name,
            charts.FEDERATION,
            release=RELEASE,
            namespace=place,
            version=args.get("version", charts.VERSION),
            repository=args.get("repository", charts.FEDERATION.repository),
            values=fed_values(license_key=pulumi.Output.secret(args["license_key"])),
            opts=pulumi.ResourceOptions(parent=self, depends_on=namespace),
        )
        self.foundation: list[pulumi.Resource] = [*namespace, release]
        """What a registration or a FailoverScheme has to wait for: the namespace, and the release with the definitions in it. For Python only."""
        self.namespace = pulumi.Output.from_input(place)
        self.register_outputs({"namespace": self.namespace})


def fed_values(*, license_key: pulumi.Input[str]) -> dict[str, Any]:
    """Values of the chart gloo-fed: the controller alone."""
    return {
        "license_key": license_key,
        "glooFedApiserver": {"enable": False},  # the console
        "enableMultiClusterRbac": False,  # its webhook would refuse the FailoverScheme of whoever has no MultiClusterRole
    }
