"""How long certificates are good for and which generation of keys issues them, read from the configuration and checked. Pure.

A rotation is one step of `rotationEpoch` (certificates.py says what a step does). After two steps at once some proxies would present certificates of
a generation that others have not heard of yet, so it is compared with the epoch that the last complete update reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service_failover.reading import Section

HIGHEST_EPOCH = 1_000_000
LONGEST_HOURS = 100 * 365 * 24


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """How long a certificate is good for, in hours. In its `early` last hours an update issues it anew."""

    validity: int
    early: int


@dataclass(frozen=True, kw_only=True)
class CertificateSettings:
    """The certificates of the failover connection, and the generation of those between gloo and its proxies."""

    rotation_epoch: int
    control_plane_epoch: int
    leaf: Lifetime
    authority: Lifetime

    @property
    def authority_args(self) -> dict[str, int]:
        """As a CertificateAuthority takes them."""
        return {
            "rotation_epoch": self.rotation_epoch,
            "validity_hours": self.leaf.validity,
            "early_renewal_hours": self.leaf.early,
            "authority_validity_hours": self.authority.validity,
            "authority_early_renewal_hours": self.authority.early,
        }


def read_certificates(section: Section, *, reached_epoch: int | None) -> CertificateSettings:
    """The section `certificates`. `reached_epoch` is that of the last complete update; None when there was none."""
    before = len(section.problems)
    settings = CertificateSettings(
        rotation_epoch=section.integer("rotationEpoch", lowest=1, highest=HIGHEST_EPOCH),
        control_plane_epoch=section.integer("controlPlaneEpoch", lowest=1, highest=HIGHEST_EPOCH),
        leaf=Lifetime(
            validity=section.integer("validityHours", lowest=1, highest=LONGEST_HOURS),
            early=section.integer("earlyRenewalHours", lowest=0, highest=LONGEST_HOURS),
        ),
        authority=Lifetime(
            validity=section.integer("authorityValidityHours", lowest=1, highest=LONGEST_HOURS),
            early=section.integer("authorityEarlyRenewalHours", lowest=0, highest=LONGEST_HOURS),
        ),
    )
    if len(section.problems) == before:
        problems = [*_epoch_problems(settings.rotation_epoch, reached_epoch), *lifetime_problems(leaf=settings.leaf, authority=settings.authority)]
        section.problems.extend(f"certificates.{key}: {problem}" for key, problem in problems)
    return settings


def lifetime_problems(*, leaf: Lifetime, authority: Lifetime | None = None) -> Iterator[tuple[str, str]]:
    """What is wrong with numbers that are fine one by one: the key, and its value with what is allowed."""
    if leaf.early >= leaf.validity:
        yield "earlyRenewalHours", _refused(leaf.early, f"less than validityHours ({leaf.validity}), or every update would renew")
    if authority is None:
        return
    if authority.early >= authority.validity:
        allowed = f"less than authorityValidityHours ({authority.validity}), or every update would renew"
        yield "authorityEarlyRenewalHours", _refused(authority.early, allowed)
    elif authority.early < leaf.validity:
        allowed = f"at least validityHours ({leaf.validity}), or a certificate could outlive that of its authority"
        yield "authorityEarlyRenewalHours", _refused(authority.early, allowed)


def _epoch_problems(epoch: int, reached: int | None) -> Iterator[tuple[str, str]]:
    if reached is not None and epoch not in (reached, reached + 1):
        allowed = (
            f"{reached}, or {reached + 1} to rotate. The last complete update reached {reached}; "
            "what it made trusts the next epoch and none after it, so take one step an update, and none back"
        )
        yield "rotationEpoch", _refused(epoch, allowed)


def _refused(value: int, allowed: str) -> str:
    return f"{value} is not allowed; allowed: {allowed}"
