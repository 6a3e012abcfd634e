"""Rotation and renewal of certificates with the real engine: who has taken a step and who has not yet can still connect, in both directions.

The Kubernetes plugin renders the Secrets into files here, so that it needs no cluster. Connections are made by OpenSSL, in memory.
"""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
import yaml
from pulumi_driver import Stack

import toolchain
from toolchain.tools import CHECKOUT

pytestmark = pytest.mark.engine

PROGRAM = """
    rendering = kubernetes.Provider("files", render_yaml_to_directory="{directory}", enable_secret_mutable=True)
    in_files = pulumi.ResourceOptions(provider=rendering)
    authority = CertificateAuthority("ca", {{"common_name": "test", "rotation_epoch": {epoch}}})
    authority.issue("a", secret="server", dns_name="server.test", use=CertificateUse.SERVER, opts=in_files)
    authority.issue("b", secret="client", dns_name="client.test", use=CertificateUse.CLIENT, opts=in_files)
    pulumi.export("epoch", authority.reached_epoch)
"""
IMPORTS = f"""
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
import pulumi
import pulumi_kubernetes as kubernetes
from service_failover.certificates import CertificateAuthority, CertificateUse
"""

Content = dict[str, str]


@pytest.fixture
def rendering(stack: Stack, kubernetes_plugin: Path) -> Stack:
    """The stack, with the Kubernetes plugin in its home."""
    kubernetes_plugin.symlink_to(toolchain.find("pulumi-resource-kubernetes"))
    return stack


def updated(stack: Stack, *, epoch: int) -> dict[str, Content]:
    """`pulumi up` at an epoch; what is then in the Secrets of both sides."""
    directory = stack.directory / "rendered"
    stack.program(PROGRAM.format(directory=directory, epoch=epoch), imports=IMPORTS)
    done = stack.up()
    assert done.exit_code == 0, done.output
    assert "PRIVATE KEY" not in done.output, "no key is shown"
    assert stack.outputs()["epoch"] == epoch
    secrets = [yaml.safe_load(file.read_text()) for file in directory.rglob("*secret*.yaml")]
    return {secret["metadata"]["name"]: {name: base64.b64decode(value).decode() for name, value in secret["data"].items()} for secret in secrets}


def connects(tmp_path: Path, *, server: Content, client: Content) -> bool:
    """Whether a client with one Secret and a server with another come to a connection, each verifying the other."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_server = context(tmp_path, ssl.PROTOCOL_TLS_SERVER, server).wrap_bio(incoming, outgoing, server_side=True)
    at_client = context(tmp_path, ssl.PROTOCOL_TLS_CLIENT, client).wrap_bio(outgoing, incoming, server_hostname="server.test")
    ready: set[ssl.SSLObject] = set()
    for side in (at_client, at_server) * 4:
        try:
            side.do_handshake()
            ready.add(side)
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            return False
    return len(ready) == 2


def context(tmp_path: Path, protocol: int, content: Content) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.verify_mode = ssl.CERT_REQUIRED
    file = tmp_path / "pair.pem"
    file.touch(mode=0o600)
    file.write_text(content["tls.crt"] + content["tls.key"])
    made.load_cert_chain(file)
    made.load_verify_locations(cadata=content["ca.crt"])
    return made


def near_its_end(stack: Stack, *names: str) -> None:
    """Let time pass: in the state, these certificates end in half an hour."""
    exported = stack.directory / "exported.json"
    document = json.loads(stack.pulumi("stack", "export", "--stack", "dev").stdout)
    end = (datetime.now(UTC) + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for resource in document["deployment"]["resources"]:
        if resource["urn"].split("::")[-1] in names:
            resource["outputs"]["validityEndTime"] = end
    exported.write_text(json.dumps(document))
    stack.pulumi("stack", "import", "--stack", "dev", "--file", str(exported))


def test_one_step_leaves_nobody_out_and_two_drop_the_first(rendering: Stack, tmp_path: Path) -> None:
    first, second, third = (updated(rendering, epoch=epoch) for epoch in (1, 2, 3))
    for before, after in ((first, second), (second, third)):
        for server, client in product((before, after), repeat=2):
            assert connects(tmp_path, server=server["server"], client=client["client"]), "whoever has picked up its Secret, and whoever has not"
        assert before["server"]["tls.key"] != after["server"]["tls.key"], "the keys are new"
    assert not connects(tmp_path, server=third["server"], client=first["client"]), "the first authority is out"
    assert not connects(tmp_path, server=first["server"], client=third["client"]), "and a server of its is not believed"
    assert {name for name in rendering.resources if "-key" in name} == {"ca-key-2", "ca-key-3", "ca-key-4", "a-key-3", "b-key-3"}, "old keys are gone"


def test_what_comes_near_its_end_is_renewed_and_what_was_issued_stays_good(rendering: Stack, tmp_path: Path) -> None:
    first = updated(rendering, epoch=1)
    near_its_end(rendering, "a-certificate")
    leaf = updated(rendering, epoch=1)
    assert leaf["server"]["tls.crt"] != first["server"]["tls.crt"], "the update issues it anew"
    assert leaf["client"] == first["client"], "and nothing else"
    near_its_end(rendering, "ca-certificate")
    authority = updated(rendering, epoch=1)
    assert authority["server"]["ca.crt"] != first["server"]["ca.crt"], "the authority's certificate is made anew"
    for server, client in product((first, leaf, authority), repeat=2):
        assert connects(tmp_path, server=server["server"], client=client["client"]), "for the same key and name: old and new verify each other"
