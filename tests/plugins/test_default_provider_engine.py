"""That the real engine refuses a Kubernetes resource that names no provider, with the setting of the stack files that this project ships."""

from __future__ import annotations

import pytest
import yaml
from pulumi_driver import STACK, Stack

from toolchain.tools import CHECKOUT

pytestmark = pytest.mark.engine

KEY = "pulumi:disable-default-providers"


def test_a_resource_that_forgot_its_provider_ends_the_preview(stack: Stack) -> None:
    shipped = yaml.safe_load((CHECKOUT / "Pulumi.embedded.yaml").read_text())["config"][KEY]
    path = stack.project / f"Pulumi.{STACK}.yaml"
    written = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump({**written, "config": {KEY: shipped}}))
    stack.program('kubernetes.core.v1.ConfigMap("forgotten", data={})\n', imports="import pulumi_kubernetes as kubernetes\n")
    result = stack.preview()
    assert result.exit_code != 0
    assert any("Default provider for 'kubernetes' disabled" in message for message in result.messages("error")), result.output
