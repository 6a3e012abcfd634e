"""Certificates: who issues, for whom, for how long, whom each side trusts, and that keys stay secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from program_recorder import UNKNOWN, Recorder
from program_runs import InCluster

from service_failover.certificates import CertificateAuthority, CertificateUse

pytestmark = pytest.mark.unit

Build = Callable[[pulumi.ResourceOptions], None]
SELF_SIGNED, SIGNED = "tls:index/selfSignedCert:SelfSignedCert", "tls:index/locallySignedCert:LocallySignedCert"


def issuing(**args: Any) -> Build:
    """An authority with these arguments that issues one certificate."""

    def build(options: pulumi.ResourceOptions) -> None:
        authority = CertificateAuthority("ca", {"common_name": "test authority", **args})
        authority.issue("leaf", secret="failover-downstream", dns_name="failover-gateway.remote", use=CertificateUse.SERVER, opts=options)

    return build


@pytest.fixture(scope="module")
def issued(in_cluster: InCluster) -> Recorder:
    return in_cluster(issuing())


@pytest.fixture(scope="module")
def rotated(in_cluster: InCluster) -> Recorder:
    """In its third epoch."""
    return in_cluster(issuing(rotation_epoch=3))


def named(recorder: Recorder, type_: str) -> dict[str, dict[str, Any]]:
    return {resource.name: resource.inputs for resource in recorder.of_type(type_)}


def test_the_authority_signs_leaves_and_nothing_else(rotated: Recorder) -> None:
    certificates = named(rotated, SELF_SIGNED)
    assert len(certificates) == 3, "the previous generation, the current, the next"
    for inputs in certificates.values():
        assert inputs["isCaCertificate"] is True
        assert inputs["maxPathLength"] == 0, "no authority below it"
        assert set(inputs["allowedUses"]) == {"cert_signing", "crl_signing"}


def test_each_generation_has_a_name_of_its_own(rotated: Recorder) -> None:
    names = {name: inputs["subject"]["commonName"] for name, inputs in named(rotated, SELF_SIGNED).items()}
    assert names == {"ca-certificate-2": "test authority 2", "ca-certificate-3": "test authority 3", "ca-certificate-4": "test authority 4"}, (
        "whoever verifies looks for an issuer by its name"
    )


def test_the_first_generation_is_the_one_of_stacks_that_had_no_epochs(issued: Recorder) -> None:
    assert named(issued, SELF_SIGNED).keys() == {"ca-certificate", "ca-certificate-2"}, "its resources are not made anew, and there is none before it"
    assert named(issued, SELF_SIGNED)["ca-certificate"]["subject"]["commonName"] == "test authority", "nor is its certificate"
    assert named(issued, SIGNED).keys() == {"leaf-certificate"}


def test_every_key_is_a_p256_key_of_its_own(rotated: Recorder) -> None:
    keys = named(rotated, "tls:index/privateKey:PrivateKey")
    assert keys.keys() == {"ca-key-2", "ca-key-3", "ca-key-4", "leaf-key-3"}, "one for each generation, one for the leaf, new in each epoch"
    for inputs in keys.values():
        assert (inputs["algorithm"], inputs["ecdsaCurve"]) == ("ECDSA", "P256")


def test_a_leaf_is_for_one_name_and_one_use(issued: Recorder) -> None:
    (request,) = issued.of_type("tls:index/certRequest:CertRequest")
    (certificate,) = issued.of_type(SIGNED)
    assert request.inputs["dnsNames"] == ["failover-gateway.remote"], "the other side verifies this name"
    assert certificate.inputs["allowedUses"] == ["digital_signature", "server_auth"], "a server's certificate is no good for a client"
    assert "isCaCertificate" not in certificate.inputs


def test_certificates_are_renewed_well_before_their_end(issued: Recorder) -> None:
    (leaf,), authorities = named(issued, SIGNED).values(), named(issued, SELF_SIGNED).values()
    for inputs in (leaf, *authorities):
        assert 0 < inputs["earlyRenewalHours"] < inputs["validityPeriodHours"]
    for inputs in authorities:
        assert inputs["earlyRenewalHours"] >= leaf["validityPeriodHours"], "what is issued last ends before its authority's certificate does"


def test_how_long_certificates_are_good_for_can_be_chosen(in_cluster: InCluster) -> None:
    hours = {"validity_hours": 4, "early_renewal_hours": 1, "authority_validity_hours": 9, "authority_early_renewal_hours": 5}
    recorded = in_cluster(issuing(**hours))
    for type_, expected in ((SIGNED, (4, 1)), (SELF_SIGNED, (9, 5))):
        for inputs in named(recorded, type_).values():
            assert (inputs["validityPeriodHours"], inputs["earlyRenewalHours"]) == expected, type_


@pytest.mark.parametrize(
    ("args", "key", "problem"),
    [
        ({"rotation_epoch": 0}, "rotation_epoch", "0 is not allowed; allowed: a whole number from 1 to 1000000"),
        (
            {"early_renewal_hours": 2160},
            "early_renewal_hours",
            "2160 is not allowed; allowed: less than validity_hours (2160), or every update would renew",
        ),
        (
            {"authority_early_renewal_hours": 87600},
            "authority_early_renewal_hours",
            "87600 is not allowed; allowed: less than authority_validity_hours (87600), or every update would renew",
        ),
        (
            {"authority_early_renewal_hours": 2159},
            "authority_early_renewal_hours",
            "2159 is not allowed; allowed: at least validity_hours (2160), or a certificate could outlive that of its authority",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_argument(in_cluster: InCluster, args: dict[str, int], key: str, problem: str) -> None:
    recorded = []
    with pytest.raises(pulumi.InputPropertyError) as refused:
        recorded.append(in_cluster(issuing(**args)))
    assert (refused.value.property_path, refused.value.reason) == (key, problem)
    assert not recorded, "the program did not run to its end"


def test_keys_are_secret_wherever_they_are_passed(rotated: Recorder) -> None:
    for certificate in rotated.of_type(SELF_SIGNED):
        assert "privateKeyPem" in certificate.secret_inputs
    assert "privateKeyPem" in rotated.of_type("tls:index/certRequest:CertRequest")[0].secret_inputs
    assert "caPrivateKeyPem" in rotated.of_type(SIGNED)[0].secret_inputs
    assert "stringData" in rotated.one("Secret", "failover-downstream").secret_inputs


def test_the_secret_is_one_that_gloo_reads_and_has_the_authorities(rotated: Recorder) -> None:
    secret = rotated.one("Secret", "failover-downstream")
    assert secret.name == "leaf-secret", "the same resource in every epoch: it is changed in place, and never away"
    assert secret.inputs["type"] == "kubernetes.io/tls"
    assert secret.metadata["namespace"] == "gloo-system"
    data = secret.inputs["stringData"]
    if data == UNKNOWN:  # a preview: the provider makes keys only in an update
        return
    assert data["tls.crt"] in ("CERTIFICATE leaf-certificate-3", UNKNOWN)
    assert data["tls.key"] in ("KEY leaf-key-3", UNKNOWN)
    trusted = "CERTIFICATE ca-certificate-3CERTIFICATE ca-certificate-4CERTIFICATE ca-certificate-2"
    assert data["ca.crt"] in (trusted, UNKNOWN), "the current generation, the next, the previous"


def test_the_current_generation_issues(rotated: Recorder) -> None:
    (leaf,) = named(rotated, SIGNED).values()
    assert leaf["caCertPem"] in ("CERTIFICATE ca-certificate-3", UNKNOWN)
    assert leaf["caPrivateKeyPem"] in ("KEY ca-key-3", UNKNOWN)


def test_keys_and_certificates_are_inside_their_component(issued: Recorder) -> None:
    leaf, authority = issued.component("TlsSecret").urn, issued.component("CertificateAuthority").urn
    assert {resource.name: resource.parent for resource in issued.resources.values() if resource.type.startswith("tls:")} == {
        "ca-key": authority,
        "ca-certificate": authority,
        "ca-key-2": authority,
        "ca-certificate-2": authority,
        "leaf-key": leaf,
        "leaf-request": leaf,
        "leaf-certificate": leaf,
    }
