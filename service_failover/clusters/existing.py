"""A cluster that is there already: a context of the kubeconfig. It is neither created nor deleted here; only what this project makes in it is.

The program talks to the cluster at two points by itself: before it decides on a namespace it looks whether somebody else has it, and before it makes
objects for an operator whether that is there (`asking`, whose client is imported only then).
"""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi

from service_failover.addressing import CONTAINERS, EMBEDDED, Addressing, realised
from service_failover.clusters.provider import cluster_provider
from service_failover.kubeconfigs import Document, UnusableKubeconfig, kubeconfig_files, read_context, realise_of
from service_failover.names import PROJECT
from service_failover.validation import ANYTHING, CLUSTER, CONTEXT, SERVER, Plain, arguments, optional


class ExistingClusterArgs(TypedDict):
    """Arguments of an ExistingCluster. Plain values: they decide what is read before anything is created."""

    cluster_name: str
    """Name of the cluster in the configuration, and in Gloo Federation."""
    context: str
    """Its context in the kubeconfig."""
    kubeconfig_file: NotRequired[str]
    """The kubeconfig; "" is as good as none. Default: the files in $KUBECONFIG, else ~/.kube/config."""
    server: NotRequired[str]
    """URL of its API server as other clusters reach it; "" is as good as none. Default: the one in the kubeconfig."""


_checked = arguments(
    ExistingClusterArgs, cluster_name=Plain(CLUSTER), context=Plain(CONTEXT), kubeconfig_file=Plain(ANYTHING), server=Plain(optional(SERVER))
)


class ExistingCluster(pulumi.ComponentResource):
    """A Kubernetes cluster that somebody else made."""

    kubeconfig: pulumi.Output[str]
    """Admin kubeconfig, for this machine. Secret."""
    context: pulumi.Output[str]
    """Name of the context in the kubeconfig."""
    identity: pulumi.Output[str]
    """Changes when, and only when, the cluster is another one: what a Kubernetes provider takes as its `clusterIdentifier`."""
    internal_address: pulumi.Output[str]
    """URL of the API server for processes in other clusters."""
    certificate_authority: pulumi.Output[str]
    """CA of the API server: PEM in base64, as in a kubeconfig. "": one that every client knows."""
    addressing: Addressing
    """Where its processes listen and how they are reached: what components in it ask for."""

    def __init__(self, name: str, args: ExistingClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:ExistingCluster", name, None, opts)
        self.cluster_name = args["cluster_name"]
        self._document = _document(args)
        cluster = self._document["clusters"][0]["cluster"]
        self.kubeconfig = pulumi.Output.secret(json.dumps(self._document))
        self.context = pulumi.Output.from_input(args["context"])
        self.internal_address = pulumi.Output.from_input(args.get("server") or str(cluster["server"]))
        self.certificate_authority = pulumi.Output.from_input(str(cluster.get("certificate-authority-data", "")))
        identity = hashlib.sha256(f"{cluster['server']} {cluster.get('certificate-authority-data', '')}".encode()).hexdigest()[:16]
        self.identity = pulumi.Output.from_input(identity)
        realise = realise_of(self._document)
        self.addressing = CONTAINERS if realise is None else {**EMBEDDED, "realise": realise}
        self.provider = cluster_provider(name, kubeconfig=self.kubeconfig, identity=self.identity, parent=self)
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "context": self.context,
                "identity": self.identity,
                "internal_address": self.internal_address,
                "certificate_authority": self.certificate_authority,
            }
        )

    def reachable(self, address: str, port: int) -> str:
        """`address`: whoever has clusters has a network to them. Those of an embedded cluster are realised on loopback."""
        return f"{realised(address, self.addressing.get('realise'))}:{port}"

    def owns_namespace(self, name: str) -> bool:
        """Whether the namespace is not there, or is this project's. Ends the program (pulumi.RunError) when the API server does not say."""
        from service_failover.clusters.asking import labels_of_namespace

        labels = labels_of_namespace(name, document=self._document, cluster=self.cluster_name)
        return labels is None or labels.get("app.kubernetes.io/part-of") == PROJECT

    def lacking(self, definitions: Sequence[str]) -> list[str]:
        """Those of `definitions` (full names) that it does not have. Ends the program (pulumi.RunError) when the API server does not say."""
        from service_failover.clusters.asking import has_definition

        return [name for name in definitions if not has_definition(name, document=self._document, cluster=self.cluster_name)]

    def contents(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """Options for what is in the cluster: it is deleted one by one, since the cluster stays."""
        return pulumi.ResourceOptions(provider=self.provider, depends_on=depends_on)


def _document(args: ExistingClusterArgs) -> Document:
    try:
        return read_context(kubeconfig_files(args.get("kubeconfig_file", ""), os.environ), args["context"])
    except UnusableKubeconfig as error:
        raise pulumi.RunError(f"Cluster {args['cluster_name']} cannot be used; nothing was changed.\n{error}") from None
