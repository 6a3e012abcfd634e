"""Stand-in for the tls provider 5.6.2 (`python -m toolchain.plugins.tls`), for machines that cannot reach the official plugin.

The schema is the official one's: nearly every change replaces; a certificate within `earlyRenewalHours` of its end is replaced by the next update.
Not supported, and refused by name: the write-only `...Wo` inputs, the provider's `proxy`, and the functions getCertificate and getPublicKey.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from toolchain.plugins import tls_fields
from toolchain.plugins.provider import Error, Operation, Provider, Resource
from toolchain.plugins.schema import Change, ChangeKind, Failure
from toolchain.plugins.serving import engine_address, serve
from toolchain.plugins.values import UNKNOWN, Properties, Secret, contains_unknown, plain

# `cryptography` is imported where it is used: an update that changes nothing does not need it, and it costs a tenth of a second.

VERSION: Final = "5.6.2"


def is_ready_for_renewal(*, end: str, early_hours: int, now: datetime) -> bool:
    """Whether `now` lies in the last `early_hours` before `end` (RFC 3339), or after it."""
    return now >= datetime.fromisoformat(end) - timedelta(hours=early_hours)


class _Keyed(Resource):
    """A resource that is made once of its inputs: outputs are the inputs and what `make` computes, unknown in preview."""

    defaults: ClassVar[Mapping[str, Any]] = {}
    computed: ClassVar[tuple[str, ...]] = ()
    secret: ClassVar[tuple[str, ...]] = ()
    texts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def make(self, inputs: Properties) -> tuple[str, Properties]:
        """The id and the computed outputs, of plain and known inputs. Raises ValueError for inputs that do not go together."""

    def check(self, inputs: Properties) -> Iterable[Failure]:
        """Reads every PEM text that is known, so that a wrong one is refused before anything is made."""
        from toolchain.plugins import certificates, keys

        readers = {
            "privateKeyPem": keys.load,
            "caPrivateKeyPem": keys.load,
            "caCertPem": certificates.load_certificate,
            "certRequestPem": certificates.load_request,
        }
        for name in self.texts:
            if isinstance(text := plain(inputs.get(name)), str):
                try:
                    readers[name](text)
                except ValueError as error:
                    yield Failure(path=name, reason=str(error))

    def create(self, operation: Operation, inputs: Properties) -> tuple[str, Properties]:
        identity, computed = ("", dict.fromkeys(self.computed, UNKNOWN)) if operation.preview else self._made(operation, inputs)
        marked = {name: Secret(value) if name in self.secret else value for name, value in computed.items()}
        return identity, {**self.defaults, **inputs, **marked}

    def update(self, operation: Operation, *, outputs: Properties, inputs: Properties) -> Properties:
        return {**self.defaults, **inputs, **{name: outputs[name] for name in self.computed}}

    def _made(self, operation: Operation, inputs: Properties) -> tuple[str, Properties]:
        try:
            return self.make(plain(inputs))
        except ValueError as error:
            raise Error(f"{operation.name} cannot be made of these inputs: {error}") from None


class PrivateKey(_Keyed):
    """A private key and its public half, in every format."""

    type_name = "tls:index/privateKey:PrivateKey"
    fields = tls_fields.PRIVATE_KEY
    defaults: ClassVar = {"ecdsaCurve": "P224", "rsaBits": 2048}
    secret: ClassVar[tuple[str, ...]] = ("privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8")
    computed: ClassVar[tuple[str, ...]] = (*secret, "publicKeyPem", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from toolchain.plugins import keys

        given = {**self.defaults, **inputs}
        texts = keys.texts(keys.generate(algorithm=given["algorithm"], rsa_bits=given["rsaBits"], curve=given["ecdsaCurve"]))
        outputs = (texts.private_pem, texts.private_openssh, texts.private_pkcs8, texts.public_pem, texts.public_openssh, texts.fingerprint_md5)
        return texts.identity, dict(zip(self.computed, (*outputs, texts.fingerprint_sha256), strict=True))


class CertRequest(_Keyed):
    """A certificate request."""

    type_name = "tls:index/certRequest:CertRequest"
    fields = tls_fields.CERT_REQUEST
    computed: ClassVar[tuple[str, ...]] = ("certRequestPem", "keyAlgorithm")
    texts: ClassVar[tuple[str, ...]] = ("privateKeyPem",)

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from hashlib import sha1

        from toolchain.plugins import certificates, keys

        key = keys.load(inputs["privateKeyPem"])
        text = certificates.pem(certificates.request(key=key, names=_names(inputs)))
        return sha1(text.encode(), usedforsecurity=False).hexdigest(), {"certRequestPem": text, "keyAlgorithm": keys.algorithm_of(key)}


class _Certificate(_Keyed):
    """What both kinds of certificate share: the time that is left, and replacement when it is short."""

    defaults: ClassVar = {"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False}
    computed: ClassVar[tuple[str, ...]] = ("certPem", "readyForRenewal", "validityStartTime", "validityEndTime")

    def read(self, outputs: Properties) -> Properties:
        return {**outputs, "readyForRenewal": _is_ready(outputs, early_hours=plain(outputs.get("earlyRenewalHours")))}

    def diff(self, *, old_inputs: Properties, outputs: Properties, inputs: Properties) -> list[Change]:
        changes = super().diff(old_inputs=old_inputs, outputs=outputs, inputs=inputs)
        if _is_ready(outputs, early_hours=plain(inputs.get("earlyRenewalHours"))):
            changes.append(Change(path="readyForRenewal", kind=ChangeKind.UPDATE, replaces=True, of_input=False))
        return changes

    def update(self, operation: Operation, *, outputs: Properties, inputs: Properties) -> Properties:
        return self.read(super().update(operation, outputs=outputs, inputs=inputs))


class SelfSignedCert(_Certificate):
    """A certificate signed by its own key, a root CA for example."""

    type_name = "tls:index/selfSignedCert:SelfSignedCert"
    fields = tls_fields.SELF_SIGNED_CERT
    defaults: ClassVar = {**_Certificate.defaults, "setAuthorityKeyId": False}
    computed: ClassVar[tuple[str, ...]] = (*_Certificate.computed, "keyAlgorithm")
    texts: ClassVar[tuple[str, ...]] = ("privateKeyPem",)

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from toolchain.plugins import certificates, keys

        key = keys.load(inputs["privateKeyPem"])
        signed = certificates.certificate(template=_template(inputs, names=_names(inputs)), public=key.public_key(), issuer=None, issuer_key=key)
        return str(signed.serial_number), {**_certificate_outputs(signed, inputs), "keyAlgorithm": keys.algorithm_of(key)}


class LocallySignedCert(_Certificate):
    """A certificate for a request, signed by a CA whose key is in the state."""

    type_name = "tls:index/locallySignedCert:LocallySignedCert"
    fields = tls_fields.LOCALLY_SIGNED_CERT
    computed: ClassVar[tuple[str, ...]] = (*_Certificate.computed, "caKeyAlgorithm")
    texts: ClassVar[tuple[str, ...]] = ("caPrivateKeyPem", "caCertPem", "certRequestPem")

    def check(self, inputs: Properties) -> Iterable[Failure]:
        found = list(super().check(inputs))
        certificate, key = plain(inputs.get("caCertPem")), plain(inputs.get("caPrivateKeyPem"))
        if found or contains_unknown([certificate, key]):
            return found
        from toolchain.plugins import certificates, keys

        if keys.public_der(keys.load(key).public_key()) != keys.public_der(certificates.load_certificate(certificate).public_key()):
            found.append(Failure(path="caPrivateKeyPem", reason="is not the key of the certificate in caCertPem"))
        return found

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from toolchain.plugins import certificates, keys

        request, key = certificates.load_request(inputs["certRequestPem"]), keys.load(inputs["caPrivateKeyPem"])
        template = _template(inputs, names=certificates.names_of(request))
        issuer = certificates.load_certificate(inputs["caCertPem"])
        signed = certificates.certificate(template=template, public=request.public_key(), issuer=issuer, issuer_key=key)
        return str(signed.serial_number), {**_certificate_outputs(signed, inputs), "caKeyAlgorithm": keys.algorithm_of(key)}


def _names(inputs: Properties) -> Any:
    from toolchain.plugins import certificates

    return certificates.names(
        subject=inputs.get("subject") or {},
        dns_names=inputs.get("dnsNames") or [],
        ip_addresses=inputs.get("ipAddresses") or [],
        uris=inputs.get("uris") or [],
    )


def _template(inputs: Properties, *, names: Any) -> Any:
    from toolchain.plugins import certificates

    max_path_length = inputs.get("maxPathLength", -1)
    return certificates.Template(
        names=names,
        start=datetime.now(UTC).replace(microsecond=0),
        validity=timedelta(hours=inputs["validityPeriodHours"]),
        uses=inputs["allowedUses"],
        is_ca=inputs.get("isCaCertificate", False),
        max_path_length=max_path_length if max_path_length >= 0 else None,
        subject_key_id=inputs.get("setSubjectKeyId", False),
        authority_key_id=inputs.get("setAuthorityKeyId", False),
    )


def _certificate_outputs(signed: Any, inputs: Properties) -> Properties:
    from toolchain.plugins import certificates

    end = certificates.time_text(signed.not_valid_after_utc)
    return {
        "certPem": certificates.pem(signed),
        "readyForRenewal": is_ready_for_renewal(end=end, early_hours=inputs.get("earlyRenewalHours", 0), now=datetime.now(UTC)),
        "validityStartTime": certificates.time_text(signed.not_valid_before_utc),
        "validityEndTime": end,
    }


def _is_ready(outputs: Properties, *, early_hours: Any) -> bool:
    return is_ready_for_renewal(end=outputs["validityEndTime"], early_hours=early_hours if isinstance(early_hours, int) else 0, now=datetime.now(UTC))


def main() -> None:
    """Serve the engine at the address in the arguments."""
    engine_address(sys.argv[1:])
    provider = Provider(name="tls", version=VERSION, resources=(PrivateKey(), CertRequest(), SelfSignedCert(), LocallySignedCert()))
    serve(register=lambda server: add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    main()
