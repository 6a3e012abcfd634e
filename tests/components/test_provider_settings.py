"""The settings without which the Kubernetes provider surprises: its cluster, its secrets, what it replaces; and that one is named."""

from __future__ import annotations

import pulumi
import pytest
import yaml
from program_recorder import Recorder
from program_runs import CHECKOUT

from service_failover.clusters.provider import cluster_provider

pytestmark = pytest.mark.unit

STACKS = sorted(path for path in CHECKOUT.glob("**/Pulumi.*.yaml") if not {".state", "venv", ".venv"} & set(path.relative_to(CHECKOUT).parts))


def test_every_kind_of_cluster_has_a_stack_file() -> None:
    assert {"Pulumi.embedded.yaml", "Pulumi.dev.yaml", "Pulumi.existing.yaml", "Pulumi.three.yaml"} <= {path.name for path in STACKS}


@pytest.mark.parametrize("path", STACKS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_resource_without_a_provider_fails_instead_of_landing_in_the_users_own_cluster(path: object) -> None:
    config = yaml.safe_load((CHECKOUT / str(path)).read_text())["config"]
    assert config["pulumi:disable-default-providers"] == ["kubernetes"]


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_a_provider_is_for_one_cluster_and_changes_secrets_in_place(preview: bool) -> None:
    def build() -> None:
        parent = pulumi.ComponentResource("test:index:Cluster", "east")
        cluster_provider("east", kubeconfig=pulumi.Output.from_input("a key"), identity=pulumi.Output.from_input("one"), parent=parent)

    (provider,) = Recorder(preview=preview).run(build).of_type("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == "one", "without it another kubeconfig of the same cluster would replace everything in it"
    assert provider.inputs["enableSecretMutable"] == provider.inputs["enableConfigMapMutable"] == "true", "a replaced Secret is gone for a moment"
    assert "kubeconfig" in provider.secret_inputs, "the schema of the provider does not say that it is one, so it is marked here, whoever passes it"
    assert provider.parent.endswith("::east")
