"""An embedded cluster: a real Kubernetes API server with its node, as processes of this machine.

`python -m embedded` makes, restores and removes it; this component runs that at the right moments of the stack's life and turns its result into a
provider.
"""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TypedDict

import pulumi
import yaml
from pulumi_command import local

import toolchain
from service_failover.addressing import EMBEDDED, Addressing, realised
from service_failover.clusters.provider import cluster_provider
from service_failover.validation import CLUSTER, TOPOLOGY, Plain, arguments

PROGRAM = Path(__file__).resolve().parents[2]
"""Directory that holds the packages `embedded`, `toolchain` and `controlplane`: a checkout, or the site-packages that this one is installed into."""


class EmbeddedClusterArgs(TypedDict):
    """Arguments of an EmbeddedCluster. Plain values: they name files and make command lines."""

    cluster_name: str
    """Name of the cluster: a DNS label of at most 40 characters."""
    region: str
    """Topology label of its node."""
    zone: str
    """Topology label of its node."""


_checked = arguments(EmbeddedClusterArgs, cluster_name=Plain(CLUSTER), region=Plain(TOPOLOGY), zone=Plain(TOPOLOGY))


class EmbeddedCluster(pulumi.ComponentResource):
    """A Kubernetes cluster of host processes, which lives in a directory of this stack."""

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

    def __init__(self, name: str, args: EmbeddedClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        _require_programs()
        super().__init__("service-failover:index:EmbeddedCluster", name, None, opts)
        self.cluster_name = args["cluster_name"]
        directory = state_directory() / pulumi.get_stack() / "clusters" / self.cluster_name
        _restore(directory)
        start = embedded_command("start", directory)
        self._command = local.Command(
            f"{name}-cluster",
            create=start,
            update=start,  # convergent: it changes a running cluster as far as needed, and its objects stay
            delete=embedded_command("delete", directory),
            stdin=json.dumps({"name": self.cluster_name, "region": args["region"], "zone": args["zone"]}),
            environment={"PYTHONPATH": str(PROGRAM)},
            # stdout is a kubeconfig with the admin's key: not in a log, not in the state as plain text, not in the environment of the next run.
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["stdout"]),
        )
        self.kubeconfig = pulumi.Output.secret(self._command.stdout)
        self.identity = self._command.id
        parsed = self.kubeconfig.apply(yaml.safe_load)
        self.context = pulumi.Output.unsecret(parsed.apply(lambda config: str(config["current-context"])))
        self.internal_address = pulumi.Output.unsecret(parsed.apply(lambda config: str(config["clusters"][0]["cluster"]["server"])))
        self.certificate_authority = pulumi.Output.unsecret(
            parsed.apply(lambda config: str(config["clusters"][0]["cluster"]["certificate-authority-data"]))
        )
        self.addressing = EMBEDDED
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
        """`address` realised on loopback."""
        return f"{realised(address, self.addressing.get('realise'))}:{port}"

    def owns_namespace(self, name: str) -> bool:
        """Nobody else creates any."""
        return True

    def contents(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """Options for what is in the cluster. Deleting the cluster deletes all of it, so nothing of it is deleted one by one."""
        return pulumi.ResourceOptions(provider=self.provider, deleted_with=self._command, depends_on=depends_on)


def state_directory() -> Path:
    """Where the current project keeps the state of its stacks: `$SERVICE_FAILOVER_STATE`, else `.state` beside its Pulumi.yaml."""
    chosen = os.environ.get("SERVICE_FAILOVER_STATE")
    # A component package is not told the project's directory; the engine starts it there.
    return Path(chosen).expanduser().resolve() if chosen else Path(pulumi.runtime.get_root_directory() or ".").resolve() / ".state"


def embedded_command(verb: str, directory: Path) -> str:
    """A shell command line for `python -m embedded`, with the Python that runs this program. -P: modules of the directory it runs in do not count."""
    return shlex.join([sys.executable, "-P", "-m", "embedded", verb, "--state-dir", str(directory)])


def _require_programs() -> None:
    """End the program (pulumi.RunError) on a machine that cannot run an embedded cluster: here, and not when half of the stack is made."""
    if sys.platform != "linux":
        raise pulumi.RunError(f"Embedded clusters need Linux; this is {sys.platform}. Use the stack that runs on Docker: pulumi up -s dev")
    try:
        toolchain.require(*toolchain.OF_EMBEDDED_CLUSTERS)
    except toolchain.ToolMissing as error:
        raise pulumi.RunError(f"This machine cannot run embedded clusters yet; nothing was changed.\n{error}") from None


def _restore(directory: Path) -> None:
    """Bring back a cluster that was made here and does not run, after a reboot for instance: what follows, even a preview, talks to its API server.

    Does nothing where no cluster was made. Ends the program (pulumi.RunError) when the cluster cannot be brought back.
    """
    if not directory.exists():
        return  # and a new stack need not wait for a process that says so
    try:
        local.run(command=embedded_command("ensure", directory), environment={"PYTHONPATH": str(PROGRAM)}, logging=local.Logging.NONE)
    except Exception as error:
        raise pulumi.RunError(
            f"The embedded cluster in {directory} was made before and does not come back: {error}\n"
            f"Its logs are in {directory / 'logs'}. To see what runs: {embedded_command('status', directory)}\n"
            "To start from nothing: make down, then make up"
        ) from error
