"""Certificates: who issues, for whom, for how long, and that keys stay secret."""

from __future__ import annotations

import pulumi
import pytest
from conftest import InCluster
from program_recorder import UNKNOWN, Recorder

from service_failover.certificates import CertificateAuthority, CertificateUse

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def issued(in_cluster: InCluster) -> Recorder:
    def build(options: pulumi.ResourceOptions) -> None:
        authority = CertificateAuthority("ca", {"common_name": "test authority"})
        authority.issue("leaf", secret="failover-downstream", dns_name="failover-gateway.remote", use=CertificateUse.SERVER, opts=options)

    return in_cluster(build)


def test_the_authority_signs_leaves_and_nothing_else(issued: Recorder) -> None:
    (certificate,) = issued.of_type("tls:index/selfSignedCert:SelfSignedCert")
    assert certificate.inputs["isCaCertificate"] is True
    assert certificate.inputs["maxPathLength"] == 0, "no authority below it"
    assert set(certificate.inputs["allowedUses"]) == {"cert_signing", "crl_signing"}
    assert certificate.inputs["subject"]["commonName"] == "test authority"


def test_every_key_is_a_p256_key_of_its_own(issued: Recorder) -> None:
    keys = issued.of_type("tls:index/privateKey:PrivateKey")
    assert len(keys) == 2, "one for the authority, one for the leaf"
    for key in keys:
        assert (key.inputs["algorithm"], key.inputs["ecdsaCurve"]) == ("ECDSA", "P256")


def test_a_leaf_is_for_one_name_and_one_use(issued: Recorder) -> None:
    (request,) = issued.of_type("tls:index/certRequest:CertRequest")
    (certificate,) = issued.of_type("tls:index/locallySignedCert:LocallySignedCert")
    assert request.inputs["dnsNames"] == ["failover-gateway.remote"], "the other side verifies this name"
    assert certificate.inputs["allowedUses"] == ["digital_signature", "server_auth"], "a server's certificate is no good for a client"
    assert "isCaCertificate" not in certificate.inputs


def test_certificates_are_renewed_well_before_their_end(issued: Recorder) -> None:
    for type_ in ("tls:index/selfSignedCert:SelfSignedCert", "tls:index/locallySignedCert:LocallySignedCert"):
        (certificate,) = issued.of_type(type_)
        assert 0 < certificate.inputs["earlyRenewalHours"] < certificate.inputs["validityPeriodHours"]


def test_keys_are_secret_wherever_they_are_passed(issued: Recorder) -> None:
    assert "privateKeyPem" in issued.of_type("tls:index/selfSignedCert:SelfSignedCert")[0].secret_inputs
    assert "privateKeyPem" in issued.of_type("tls:index/certRequest:CertRequest")[0].secret_inputs
    assert "caPrivateKeyPem" in issued.of_type("tls:index/locallySignedCert:LocallySignedCert")[0].secret_inputs
    assert "stringData" in issued.one("Secret", "failover-downstream").secret_inputs


def test_the_secret_is_one_that_gloo_reads_and_has_the_authority(issued: Recorder) -> None:
    secret = issued.one("Secret", "failover-downstream")
    assert secret.inputs["type"] == "kubernetes.io/tls"
    assert secret.metadata["namespace"] == "gloo-system"
    data = secret.inputs["stringData"]
    if data == UNKNOWN:  # a preview: the provider makes keys only in an update
        return
    assert data["tls.crt"] in ("CERTIFICATE leaf-certificate", UNKNOWN)
    assert data["tls.key"] in ("KEY leaf-key", UNKNOWN)
    assert data["ca.crt"] in ("CERTIFICATE ca-certificate", UNKNOWN), "without it the other side would not be verified, as in the guide"


def test_keys_and_certificates_are_inside_their_component(issued: Recorder) -> None:
    leaf, authority = issued.component("TlsSecret").urn, issued.component("CertificateAuthority").urn
    assert {resource.name: resource.parent for resource in issued.resources.values() if resource.type.startswith("tls:")} == {
        "ca-key": authority,
        "ca-certificate": authority,
        "leaf-key": leaf,
        "leaf-request": leaf,
        "leaf-certificate": leaf,
    }
