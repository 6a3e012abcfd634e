"""TLS towards an API server: what a kubeconfig holds is used without a file, as in a container whose file system is read-only."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile

import pytest
from support_certs import Authority, Pair

from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.errors import BadKubeconfig
from controlplane.kube.tls import server_context

pytestmark = pytest.mark.unit


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(authority: Authority, client: Pair) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": encoded(authority.pem)}}],
            "users": [{"name": "u", "user": {"client-certificate-data": encoded(client.certificate), "client-key-data": encoded(client.key)}}],
        }
    )


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)


@pytest.mark.usefixtures("no_files")
async def test_a_client_is_made_without_writing_a_file() -> None:
    authority = Authority()
    KubeClient(lambda: config_from_text(kubeconfig(authority, authority.issue("client"))))


@pytest.mark.usefixtures("no_files")
def test_the_server_is_verified_by_the_authority_in_the_kubeconfig_and_no_other() -> None:
    authority = Authority("of this cluster")
    context = server_context(config_from_text(kubeconfig(authority, authority.issue("client"))))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True), "it is verified"
    assert [dict(part[0] for part in each["subject"])["commonName"] for each in context.get_ca_certs()] == ["of this cluster"]


def test_a_key_of_another_certificate_is_refused_without_being_quoted() -> None:
    authority = Authority()
    mixed = Pair(certificate=authority.issue("client").certificate, key=authority.issue("other").key)
    with pytest.raises(BadKubeconfig) as error:
        KubeClient(lambda: config_from_text(kubeconfig(authority, mixed)))
    assert "PRIVATE KEY" not in str(error.value), "an error text ends up in a status"
