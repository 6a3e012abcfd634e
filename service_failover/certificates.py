"""A certificate authority, and certificates issued by it that live as TLS Secrets in a cluster.

The guide makes two self-signed certificates for the name solo.io with openssl, and gives the CA to one side only. Here both sides get a certificate
for a name of their own from one authority, and the authority's certificates, so that each can verify the other. Keys exist in the stack's state,
encrypted, and in the Secrets; nowhere else.

An authority is a row of generations, one an epoch. The current one issues; the one before it and the one after are trusted together with it. So
whoever has taken the step from one epoch to the next trusts whoever has not yet, and is trusted by it: one update replaces the authority and all
keys, while proxies in several clusters pick up their Secrets at different moments. Two steps at once would break that. A component cannot see them;
the program does (certificate_settings.py). Within an epoch, a certificate that comes near its end is issued anew by the next update for the same key
and name, the authority's too, so that what was issued before stays good.
"""

import re
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_tls as tls

from service_failover.certificate_settings import LONGEST_HOURS, Lifetime, lifetime_problems
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import GLOO_NAMESPACE, PROJECT
from service_failover.validation import DNS_NAME, EPOCH, NAME, NAMESPACE, OBJECT, Plain, Rule, arguments, choice, integer, label_map, secret_text

DAY = 24
LEAF = Lifetime(validity=90 * DAY, early=30 * DAY)
AUTHORITY = Lifetime(validity=3650 * DAY, early=365 * DAY)
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


class LeafLifetimeArgs(TypedDict):
    """How long certificates are good for, and of which generation they are."""

    rotation_epoch: NotRequired[int]
    """The generation. Raise it by one to replace the authority's key and all keys below it, and let that update end before raising it again. Plain:
    resources are named after it. Default: 1."""
    validity_hours: NotRequired[pulumi.Input[int]]
    """Hours for which a certificate is good. Default: 90 days."""
    early_renewal_hours: NotRequired[pulumi.Input[int]]
    """In so many last hours of a certificate an update issues it anew. Less than `validity_hours`. Default: 30 days."""


class CertificateAuthorityArgs(LeafLifetimeArgs):
    """Arguments of a CertificateAuthority."""

    common_name: pulumi.Input[str]
    """Common name of the authority; the generations after the first add their number."""
    authority_validity_hours: NotRequired[pulumi.Input[int]]
    """Hours for which the authority's own certificates are good. Default: 10 years."""
    authority_early_renewal_hours: NotRequired[pulumi.Input[int]]
    """In so many last hours of its own certificate an update makes it anew. At least `validity_hours`. Default: a year."""


_HOURS = integer(0, LONGEST_HOURS)
_LEAF_RULES: dict[str, Rule] = {"rotation_epoch": EPOCH, "validity_hours": _HOURS, "early_renewal_hours": _HOURS}
_checked_authority = arguments(
    CertificateAuthorityArgs, common_name=NAME, authority_validity_hours=_HOURS, authority_early_renewal_hours=_HOURS, **_LEAF_RULES
)


class CertificateAuthority(pulumi.ComponentResource):
    """A private certificate authority: keys of up to three generations, and their self-signed certificates, which sign leaves and nothing below."""

    certificate_pem: pulumi.Output[str]
    """Certificate of the current generation, the one that issues."""
    private_key_pem: pulumi.Output[str]
    """Key of the current generation. Secret."""
    trusted_certificates_pem: pulumi.Output[str]
    """Certificates of the current, the next and the previous generation: what peers verify with."""

    def __init__(self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked_authority(args)
        super().__init__("service-failover:index:CertificateAuthority", name, None, opts)
        self._epoch = args.get("rotation_epoch", 1)
        leaf = _lifetime(args.get("validity_hours", LEAF.validity), args.get("early_renewal_hours", LEAF.early))
        own = _lifetime(args.get("authority_validity_hours", AUTHORITY.validity), args.get("authority_early_renewal_hours", AUTHORITY.early))
        self._leaf, self._own = leaf, pulumi.Output.all(leaf, own).apply(lambda both: _checked(leaf=both[0], authority=both[1]))
        self._issued: list[TlsSecret] = []
        # The next generation is made and trusted an epoch before it issues.
        epochs = [epoch for epoch in (self._epoch, self._epoch + 1, self._epoch - 1) if epoch > 0]
        generations = [self._generation(name, common_name=args["common_name"], epoch=epoch) for epoch in epochs]
        self.certificate_pem, self.private_key_pem = generations[0]
        self.trusted_certificates_pem = pulumi.Output.all(*(certificate for certificate, _ in generations)).apply("".join)
        self.register_outputs(
            {
                "certificate_pem": self.certificate_pem,
                "private_key_pem": self.private_key_pem,
                "trusted_certificates_pem": self.trusted_certificates_pem,
            }
        )

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
            "trusted_certificates_pem": self.trusted_certificates_pem,
            "rotation_epoch": self._epoch,
            "validity_hours": self._leaf.apply(lambda lifetime: lifetime.validity),
            "early_renewal_hours": self._leaf.apply(lambda lifetime: lifetime.early),
            "labels": labels,
        }
        self._issued.append(TlsSecret(name, args, opts))
        return self._issued[-1]

    @property
    def reached_epoch(self) -> pulumi.Output[int]:
        """The rotation epoch, once every certificate issued so far is in its Secret: then, and not before, the next step may be taken."""
        return pulumi.Output.all(*(secret.secret_name for secret in self._issued)).apply(lambda _: self._epoch)

    def _generation(self, name: str, *, common_name: pulumi.Input[str], epoch: int) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Certificate and key of one generation. Its names say which, so that those of other epochs stay as they are."""
        suffix = _suffix(epoch)
        key = tls.PrivateKey(f"{name}-key{suffix}", algorithm=KEY_ALGORITHM, ecdsa_curve=KEY_CURVE, opts=pulumi.ResourceOptions(parent=self))
        certificate = tls.SelfSignedCert(
            f"{name}-certificate{suffix}",
            private_key_pem=key.private_key_pem,
            # Each generation has a name of its own, by which whoever verifies finds the right one among those that it trusts.
            subject={"common_name": pulumi.Output.concat(common_name, suffix.replace("-", " ")), "organization": PROJECT},
            is_ca_certificate=True,
            max_path_length=0,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=self._own.apply(lambda lifetime: lifetime.validity),
            early_renewal_hours=self._own.apply(lambda lifetime: lifetime.early),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return certificate.cert_pem, pulumi.Output.secret(key.private_key_pem)


class TlsSecretArgs(LeafLifetimeArgs):
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
    """Certificate of the authority that issues it."""
    authority_private_key_pem: pulumi.Input[str]
    """Key of the authority. Secret."""
    trusted_certificates_pem: NotRequired[pulumi.Input[str]]
    """Whom to trust: the certificates, in PEM, of the authorities that issue to the other side. Default: `authority_certificate_pem`."""
    labels: NotRequired[Labels]
    """Labels for the Secret; this project's own win."""


_checked_secret = arguments(
    TlsSecretArgs,
    secret_name=OBJECT,
    namespace=NAMESPACE,
    dns_name=DNS_NAME,
    use=Plain(choice(CertificateUse)),
    authority_certificate_pem=secret_text,
    authority_private_key_pem=secret_text,
    trusted_certificates_pem=secret_text,
    labels=label_map,
    **_LEAF_RULES,
)


class TlsSecret(pulumi.ComponentResource):
    """A certificate in a Kubernetes Secret of type kubernetes.io/tls: `tls.crt`, `tls.key`, and `ca.crt`, to verify the other side with."""

    certificate_pem: pulumi.Output[str]
    """The certificate. It changes when it is issued anew."""
    secret_name: pulumi.Output[str]
    """Name of the Secret, once it exists and holds the certificate."""

    def __init__(self, name: str, args: TlsSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked_secret(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:TlsSecret", name, None, whole)
        suffix = _suffix(args.get("rotation_epoch", 1))
        lifetime = _lifetime(args.get("validity_hours", LEAF.validity), args.get("early_renewal_hours", LEAF.early))
        lifetime = lifetime.apply(lambda leaf: _checked(leaf=leaf))
        key = tls.PrivateKey(f"{name}-key{suffix}", algorithm=KEY_ALGORITHM, ecdsa_curve=KEY_CURVE, opts=pulumi.ResourceOptions(parent=self))
        request = tls.CertRequest(
            f"{name}-request{suffix}",
            private_key_pem=key.private_key_pem,
            subject={"common_name": args["dns_name"], "organization": PROJECT},
            dns_names=[args["dns_name"]],
            opts=pulumi.ResourceOptions(parent=self),
        )
        certificate = tls.LocallySignedCert(
            f"{name}-certificate{suffix}",
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=args["authority_certificate_pem"],
            ca_private_key_pem=args["authority_private_key_pem"],
            allowed_uses=["digital_signature", *args["use"].allowed],
            validity_period_hours=lifetime.apply(lambda checked: checked.validity),
            early_renewal_hours=lifetime.apply(lambda checked: checked.early),
            opts=pulumi.ResourceOptions(parent=self),
        )
        # One object, changed in place by one write: nobody sees a key without its certificate, or no Secret.
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
                "ca.crt": args.get("trusted_certificates_pem", args["authority_certificate_pem"]),
            },
            opts=inside(self, objects),
        )
        self.certificate_pem = certificate.cert_pem
        self.secret_name = secret.metadata.name
        self.register_outputs({"certificate_pem": self.certificate_pem, "secret_name": self.secret_name})


def _suffix(epoch: int) -> str:
    """What the names of an epoch's resources end with. The first has none, as in stacks that were made before there were epochs."""
    return "" if epoch == 1 else f"-{epoch}"


def _lifetime(validity: pulumi.Input[int], early: pulumi.Input[int]) -> pulumi.Output[Lifetime]:
    return pulumi.Output.all(validity, early).apply(lambda hours: Lifetime(validity=int(hours[0]), early=int(hours[1])))


def _checked(*, leaf: Lifetime, authority: Lifetime | None = None) -> Lifetime:
    """The authority's lifetime, or the leaf's where no authority is given. Raises InputPropertyError."""
    for key, problem in lifetime_problems(leaf=leaf, authority=authority):
        raise pulumi.InputPropertyError(_as_argument(key), _as_argument(problem))
    return authority or leaf


def _as_argument(text: str) -> str:
    """`validityHours`, as the configuration calls it, as the argument is called: `validity_hours`."""
    return re.sub("(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", text)
