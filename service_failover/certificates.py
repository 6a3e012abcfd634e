"""A certificate authority, and certificates issued by it that live as TLS Secrets in a cluster.

The guide makes two self-signed certificates for the name solo.io with openssl, and gives the CA to one side only. Here both sides get a certificate
for a name of their own from one authority, and the authority's certificate, so that each can verify the other. Keys exist in the stack's state,
encrypted, and in the Secrets; nowhere else. A certificate that comes near its end is issued anew by the next `pulumi up`.
"""

from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_tls as tls

from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import GLOO_NAMESPACE, PROJECT

HOURS_PER_DAY = 24
AUTHORITY_HOURS = 3650 * HOURS_PER_DAY
AUTHORITY_RENEWAL_HOURS = 365 * HOURS_PER_DAY
CERTIFICATE_HOURS = 90 * HOURS_PER_DAY
CERTIFICATE_RENEWAL_HOURS = 30 * HOURS_PER_DAY
KEY_ALGORITHM, KEY_CURVE = "ECDSA", "P256"


class CertificateUse(StrEnum):
    """Which side of a connection a certificate is good for."""

    SERVER = "server"
    CLIENT = "client"
    PEER = "peer"
    """Both: for two that each open connections to the other. They are told apart by name."""

    @property
    def allowed(self) -> list[str]:
        """As the tls provider calls it."""
        return {"server": ["server_auth"], "client": ["client_auth"], "peer": ["server_auth", "client_auth"]}[self]


class CertificateAuthorityArgs(TypedDict):
    """Arguments of a CertificateAuthority."""

    common_name: pulumi.Input[str]
    """Common name of the authority."""


class CertificateAuthority(pulumi.ComponentResource):
    """A private certificate authority: a key, and its self-signed certificate, which may sign leaves and nothing below."""

    certificate_pem: pulumi.Output[str]
    """The authority's certificate: what a peer needs in order to verify those issued by it."""
    private_key_pem: pulumi.Output[str]
    """The authority's key. Secret."""

    def __init__(self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:CertificateAuthority", name, None, opts)
        key = tls.PrivateKey(f"{name}-key", algorithm=KEY_ALGORITHM, ecdsa_curve=KEY_CURVE, opts=pulumi.ResourceOptions(parent=self))
        certificate = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=key.private_key_pem,
            subject={"common_name": args["common_name"], "organization": PROJECT},
            is_ca_certificate=True,
            max_path_length=0,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=AUTHORITY_HOURS,
            early_renewal_hours=AUTHORITY_RENEWAL_HOURS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.certificate_pem = certificate.cert_pem
        self.private_key_pem = key.private_key_pem
        self.register_outputs({"certificate_pem": self.certificate_pem, "private_key_pem": self.private_key_pem})

    def issue(
        self,
        name: str,
        *,
        secret: str,
        dns_name: str,
        use: CertificateUse,
        namespace: pulumi.Input[str] = GLOO_NAMESPACE,
        labels: Labels = NO_LABELS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> "TlsSecret":
        """A certificate for `dns_name`, in the Secret `secret` of the cluster that `opts` name. The other side needs one of this authority too."""
        args: TlsSecretArgs = {
            "secret_name": secret,
            "namespace": namespace,
            "dns_name": dns_name,
            "use": use,
            "authority_certificate_pem": self.certificate_pem,
            "authority_private_key_pem": self.private_key_pem,
            "labels": labels,
        }
        return TlsSecret(name, args, opts)


class TlsSecretArgs(TypedDict):
    """Arguments of a TlsSecret."""

    secret_name: pulumi.Input[str]
    """Name of the Secret."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the Secret. It exists already. Default: gloo-system, whence Gloo reads certificates."""
    dns_name: pulumi.Input[str]
    """Who the certificate is for: its only subject alternative name, by which the other side verifies it."""
    use: CertificateUse
    """What the certificate is good for."""
    authority_certificate_pem: pulumi.Input[str]
    """Certificate of the authority that issues it. The Secret holds it as `ca.crt`: it is also the one that issues to the other side."""
    authority_private_key_pem: pulumi.Input[str]
    """Key of the authority. Secret."""
    labels: NotRequired[Labels]
    """Labels for the Secret; this project's own win."""


class TlsSecret(pulumi.ComponentResource):
    """A certificate in a Kubernetes Secret of type kubernetes.io/tls: `tls.crt`, `tls.key`, and `ca.crt`, to verify the other side with."""

    certificate_pem: pulumi.Output[str]
    """The certificate. It changes when it is issued anew."""
    secret_name: pulumi.Output[str]
    """Name of the Secret, once it exists."""

    def __init__(self, name: str, args: TlsSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:TlsSecret", name, None, opts)
        key = tls.PrivateKey(f"{name}-key", algorithm=KEY_ALGORITHM, ecdsa_curve=KEY_CURVE, opts=pulumi.ResourceOptions(parent=self))
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject={"common_name": args["dns_name"], "organization": PROJECT},
            dns_names=[args["dns_name"]],
            opts=pulumi.ResourceOptions(parent=self),
        )
        certificate = tls.LocallySignedCert(
            f"{name}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=args["authority_certificate_pem"],
            ca_private_key_pem=args["authority_private_key_pem"],
            allowed_uses=["digital_signature", *args["use"].allowed],
            validity_period_hours=CERTIFICATE_HOURS,
            early_renewal_hours=CERTIFICATE_RENEWAL_HOURS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        secret = kubernetes.core.v1.Secret(
            f"{name}-secret",
            metadata={
                "name": args["secret_name"],
                "namespace": args.get("namespace", GLOO_NAMESPACE),
                "labels": labels("certificates", args.get("labels", NO_LABELS)),
            },
            type="kubernetes.io/tls",
            string_data={
                "tls.crt": certificate.cert_pem,
                "tls.key": key.private_key_pem,
                "ca.crt": args["authority_certificate_pem"],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.certificate_pem = certificate.cert_pem
        self.secret_name = secret.metadata.name
        self.register_outputs({"certificate_pem": self.certificate_pem, "secret_name": self.secret_name})
