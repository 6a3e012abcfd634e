"""The stand-in tls provider under the real engine; what it made is judged by `cryptography`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi_driver import Stack

pytestmark = pytest.mark.engine

CHAIN = """
    ca_key = tls.PrivateKey("ca-key", algorithm="ECDSA", ecdsa_curve="P256")
    ca = tls.SelfSignedCert("ca", private_key_pem=ca_key.private_key_pem, validity_period_hours=48, is_ca_certificate=True,
        allowed_uses=["cert_signing", "crl_signing"], subject={{"common_name": "Test CA", "organization": "Tests"}}, max_path_length=0)
    key = tls.PrivateKey("key", algorithm="{algorithm}")
    request = tls.CertRequest("request", private_key_pem=key.private_key_pem, subject={{"common_name": "server"}},
        dns_names=["failover-gateway.remote"], ip_addresses=["10.77.0.1"], uris=["spiffe://remote/gateway"])
    leaf = tls.LocallySignedCert("leaf", ca_private_key_pem=ca_key.private_key_pem, ca_cert_pem=ca.cert_pem,
        cert_request_pem=request.cert_request_pem, validity_period_hours=24, early_renewal_hours={early},
        allowed_uses=["server_auth", "digital_signature", "key_encipherment"])
    for name in ("ca", "key", "leaf"):
        pulumi.export(name, globals()[name].cert_pem if name != "key" else key.private_key_pem)
    pulumi.export("ready", leaf.ready_for_renewal)
"""


def test_a_chain_is_made_kept_renewed_and_destroyed(stack: Stack) -> None:
    stack.program(CHAIN.format(algorithm="RSA", early=1))
    previewed = stack.preview()
    assert previewed.exit_code == 0, "everything that depends on a key that does not exist yet can be previewed\n" + previewed.output
    assert previewed.changes["create"] == 6, "five resources and the stack"

    created = stack.up()
    assert created.exit_code == 0, created.output
    assert created.messages("warning") == [], "the engine has nothing to warn of, the plugins' versions least of all"
    outputs = stack.outputs()
    ca, leaf = (x509.load_pem_x509_certificate(outputs[name].encode()) for name in ("ca", "leaf"))
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["failover-gateway.remote"], "names come from the request"
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.77.0.1"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://remote/gateway"]
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=24)
    assert ca.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Tests"
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    key = serialization.load_pem_private_key(outputs["key"].encode(), password=None)
    assert key.public_key() == leaf.public_key(), "the certificate belongs to the key"

    assert "PRIVATE KEY" not in stack.state_text, "no private key is readable in the state"
    for resource in ("ca-key", "key"):
        for name in ("privateKeyPem", "privateKeyPemPkcs8"):
            assert "ciphertext" in stack.resources[resource]["outputs"][name], f"{name} of {resource} is a secret"
    assert "PRIVATE KEY" not in created.output, "nor shown"

    assert stack.up("--refresh").changes == {}, "the same inputs change nothing, and a refresh does not change a certificate with time left"

    stack.program(CHAIN.format(algorithm="RSA", early=2))
    updated = stack.up()
    assert updated.operations["leaf"] == ["update"], "earlyRenewalHours is the one input that changes in place"
    assert stack.resources["leaf"]["outputs"]["certPem"] == outputs["leaf"], "and the certificate stays"

    stack.program(CHAIN.format(algorithm="RSA", early=24))
    assert "replace" in stack.up().operations["leaf"], "a certificate in its last hours is replaced"
    outputs_of_leaf = stack.resources["leaf"]["outputs"]
    assert outputs_of_leaf["certPem"] != outputs["leaf"], "by a new one"
    assert outputs_of_leaf["readyForRenewal"] is True, "which with early renewal as long as its validity is ready again at once"

    stack.program(CHAIN.format(algorithm="ED25519", early=1))
    replaced = stack.up()
    assert replaced.exit_code == 0, replaced.output
    for name in ("key", "request", "leaf"):
        assert "replace" in replaced.operations[name], f"{name} follows from the key, so it is replaced"
    assert replaced.operations["ca"] == ["same"], "the CA does not"
    assert stack.destroy().exit_code == 0
    assert stack.resources == {}


def test_wrong_inputs_are_refused_by_name_without_showing_secrets(stack: Stack) -> None:
    def error_of(text: str) -> str:
        stack.program(text)
        result = stack.up()
        assert result.exit_code != 0, "it must not be made"
        assert "Traceback" not in result.output, "a refused input is the engine's to report, once"
        errors = [message for message in result.messages("error") if "problem" in message]
        assert len(errors) == 1, result.output
        return errors[0]

    error = error_of('tls.PrivateKey("key", algorithm="DSA")')
    assert "property algorithm value {DSA} has a problem: must be one of RSA, ECDSA, ED25519" in error, "property, value and what is allowed"

    error = error_of('tls.SelfSignedCert("ca", private_key_pem="not a key at all", validity_period_hours=1, allowed_uses=[])')
    assert "property privateKeyPem value {[secret]} has a problem: is not an unencrypted private key in PEM form" in error
    assert "not a key at all" not in error, "a wrong secret is still a secret"

    error = error_of('tls.SelfSignedCert("ca", private_key_pem_wo="x", private_key_pem="x", validity_period_hours=1, allowed_uses=[])')
    assert "property privateKeyPemWo" in error
    assert "not supported by the stand-in" in error, "what is not supported is refused, not ignored"

    error = error_of("""
        key = tls.PrivateKey("key", algorithm="ED25519")
        tls.CertRequest("request", private_key_pem=key.private_key_pem, subject={"country": "Germany"})
    """)
    assert "property subject" in error
    assert "subject.country must be a country code of two letters, not 'Germany'" in error, "a place inside a property is named"
