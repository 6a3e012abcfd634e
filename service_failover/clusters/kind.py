"""A kind cluster: Kubernetes in a container of this machine's docker.

    KindCluster
    ├─ Command <name>-cluster   kind create cluster; kind delete cluster
    ├─ Command <name>-ready     its node is Ready
    └─ Provider

`kind` is called by commands and not by a Pulumi provider: the ones there are have had no release for years, or call themselves experiments.
A command does not notice that its cluster was deleted by hand. So the program looks each time, and what it finds is one of the command's triggers.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import yaml
from pulumi_command import local

from service_failover.addressing import KIND, Addressing
from service_failover.clusters.provider import cluster_provider
from service_failover.kind import commands
from service_failover.kind.document import LONGEST_NAME, NAME, document, internal_address
from service_failover.kind.machine import examine
from service_failover.kind.nodes import DockerFailed, lacking, list_nodes, start
from service_failover.kind.preflight import Wanted, problems, warnings
from service_failover.monitoring_settings import DEFINITIONS, operator_problem
from service_failover.names import NODE_IMAGE
from service_failover.validation import CLUSTER, IMAGE, PORT, TOPOLOGY, Plain, arguments, text

READY_WITHIN = "180s"


class KindClusterArgs(TypedDict):
    """Arguments of a KindCluster. Plain values: they decide what is looked for before anything is created."""

    cluster_name: str
    """Name of the cluster in the configuration, and in Gloo Federation."""
    kind_name: str
    """What kind calls it: a DNS label of at most 49 characters that no other cluster of this docker has."""
    owner: str
    """Whose it is: a word (a Kubernetes label's value) that no other stack of this machine has. A cluster without it is never touched."""
    region: str
    """Topology label of its node."""
    zone: str
    """Topology label of its node."""
    host_port: int
    """Port on 127.0.0.1 that leads to the cluster's gateway proxy. Changing it makes another cluster, as does a change of what is above."""
    node_image: NotRequired[str]
    """Image of its node, by digest. Default: the one of kind 0.33, Kubernetes 1.37."""


_checked = arguments(
    KindClusterArgs,
    cluster_name=Plain(CLUSTER),
    kind_name=Plain(text(NAME, f"what kind can call a cluster: 1 to {LONGEST_NAME} characters: a-z, 0-9 and inner '-'", longest=LONGEST_NAME)),
    owner=Plain(TOPOLOGY),
    region=Plain(TOPOLOGY),
    zone=Plain(TOPOLOGY),
    host_port=Plain(PORT),
    node_image=Plain(IMAGE),
)


class KindCluster(pulumi.ComponentResource):
    """A Kubernetes cluster of one container."""

    kubeconfig: pulumi.Output[str]
    """Admin kubeconfig, for this machine. Secret."""
    context: pulumi.Output[str]
    """Name of the context in the kubeconfig."""
    identity: pulumi.Output[str]
    """Changes when, and only when, the cluster is another one: what a Kubernetes provider takes as its `clusterIdentifier`."""
    internal_address: pulumi.Output[str]
    """URL of the API server for processes in other clusters."""
    certificate_authority: pulumi.Output[str]
    """CA of the API server: PEM in base64, as in a kubeconfig."""
    addressing: Addressing
    """Where its processes listen and how they are reached: what components in it ask for."""
    kind_name: str
    """What kind calls it."""

    def __init__(self, name: str, args: KindClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:KindCluster", name, None, opts)
        self.cluster_name, self.kind_name, self._host_port = args["cluster_name"], args["kind_name"], args["host_port"]
        image, owner = args.get("node_image", NODE_IMAGE), args["owner"]
        generation = current_generation(self.kind_name, owner=owner)
        config = document(owner=owner, generation=generation, region=args["region"], zone=args["zone"], host_port=self._host_port)
        variables = commands.environment(kind_name=self.kind_name, owner=owner)
        self._command = local.Command(
            f"{name}-cluster",
            create=commands.script("create"),
            update=commands.script("update"),
            delete=commands.script("delete"),
            stdin=yaml.safe_dump(config, sort_keys=False),
            environment={**variables, **commands.generation_environment(generation), "IMAGE": image},
            # kind cannot change a cluster. Of the document only the generation may be another one without any change of the configuration.
            triggers=[self.kind_name, image, yaml.safe_dump(config, sort_keys=False)],
            # stdout is a kubeconfig with the admin's key: not in a log, not in the state as plain text, not in the environment of the next run.
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            # The name is the same, so the old one has to go first.
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["stdout"], delete_before_replace=True),
        )
        self.identity = self._command.id
        self._ready = local.Command(
            f"{name}-ready",
            create=commands.script("ready"),
            environment={**variables, "ALLOWED": READY_WITHIN},
            triggers=[self.identity],
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, deleted_with=self._command),
        )
        # Whatever needs the kubeconfig needs a node that is Ready.
        self.kubeconfig = pulumi.Output.secret(pulumi.Output.all(self._command.stdout, self._ready.id).apply(lambda known: str(known[0])))
        parsed = self.kubeconfig.apply(yaml.safe_load)
        self.context = pulumi.Output.unsecret(parsed.apply(lambda config: str(config["current-context"])))
        self.internal_address = pulumi.Output.from_input(internal_address(self.kind_name))
        self.certificate_authority = pulumi.Output.unsecret(
            parsed.apply(lambda config: str(config["clusters"][0]["cluster"]["certificate-authority-data"]))
        )
        self.addressing = KIND
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
        """The port of this machine that leads to the gateway proxy; on macOS there is no way to addresses of the cluster."""
        return f"127.0.0.1:{self._host_port}"

    def owns_namespace(self, name: str) -> bool:
        """Nobody else creates any."""
        return True

    def contents(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """Options for what is in the cluster. Deleting the cluster deletes all of it, so nothing of it is deleted one by one."""
        return pulumi.ResourceOptions(provider=self.provider, deleted_with=self._command, depends_on=depends_on)


def require_machine(wanted: Sequence[Wanted]) -> None:
    """Ends the program (pulumi.RunError), with all reasons, where this machine cannot have these clusters. Warns of what may go wrong."""
    machine = examine(each.host_port for each in wanted)
    if found := problems(machine, wanted):
        listed = "\n".join(f"  - {problem}" for problem in found)
        raise pulumi.RunError(f"This machine cannot have the kind clusters of stack {pulumi.get_stack()}; nothing was changed.\n{listed}")
    for warning in warnings(machine, clusters=len(wanted)):
        pulumi.log.warn(warning)


def lacking_operator(clusters: Mapping[str, Wanted]) -> list[str]:
    """What to do about each of these clusters that lacks the Prometheus operator. Ends the program (pulumi.RunError) when docker does not say."""
    try:
        there = {node.cluster: node for node in list_nodes() if node.running}
        found = {name: lacking(there[each.kind_name], DEFINITIONS) if each.kind_name in there else None for name, each in clusters.items()}
    except DockerFailed as error:
        raise pulumi.RunError(f"The kind clusters do not say whether they have the Prometheus operator: {error}") from None
    problems = (
        operator_problem(name, lacking=DEFINITIONS, is_made=False) if missing is None else operator_problem(name, lacking=missing)
        for name, missing in found.items()
    )
    return [problem for problem in problems if problem]


def current_generation(kind_name: str, *, owner: str) -> str:
    """The generation of the cluster that is there, started again if it was stopped; else a new one, so that the command makes a cluster.

    Ends the program (pulumi.RunError) when somebody else has a cluster of this name, or docker does not say.
    """
    try:
        there = [node for node in list_nodes() if node.cluster == kind_name]
        if foreign := next((node for node in there if node.owner != owner), None):
            raise pulumi.RunError(foreign_cluster(kind_name, made_by=foreign.owner))
        start(there)
    except DockerFailed as error:
        raise pulumi.RunError(f"kind cluster {kind_name}: {error}") from None
    return there[0].generation if there else secrets.token_hex(4)


def foreign_cluster(kind_name: str, *, made_by: str) -> str:
    """What to do about a cluster that has our name and is not ours."""
    whose = f"stack {made_by} of this project, in another directory" if made_by else "somebody else, not by this project"
    return (
        f"The kind cluster {kind_name} was made by {whose}; it is left alone, and nothing was changed.\n"
        f"Remove it (kind delete cluster --name {kind_name}), or choose other names: pulumi config set --path kind.clusterPrefix <prefix>"
    )
