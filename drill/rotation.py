"""Certificates and authorities of a running stack, changed over in an order in which each side trusts the other at every moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drill.certificates import Content, Side, sides
from drill.gateway import CERTIFICATES_TAKEN, counted
from drill.waiting import wait_for

if TYPE_CHECKING:
    from drill.target import Target

TAKEN_WITHIN = 30.0
"""Seconds in which a proxy has taken a Secret that was replaced; it takes well under one."""


def change_over(target: Target, wanted: Mapping[str, Content]) -> None:
    """Give each side, by the name of its Secret, the content that is wanted: first all authorities, old and new; then the certificates; then its
    authorities alone.

    Safe to repeat after it was cut half-way, from any state.
    """
    both = sides(target)
    now = {side.secret: side.read() for side in both}
    everybody = bundle(*(content["ca.crt"] for content in [*now.values(), *wanted.values()]))
    replace(target, both, {secret: {"ca.crt": everybody} for secret in wanted})
    replace(target, both, {secret: {**content, "ca.crt": everybody} for secret, content in wanted.items()})
    replace(target, both, wanted)


def restore(target: Target) -> None:
    """Change over to what was kept, if anything was, and keep it no longer."""
    both = sides(target)
    kept = {side.secret: content for side in both if (content := side.kept()) is not None}
    if any(side.read() != kept[side.secret] for side in both if side.secret in kept):
        change_over(target, kept)
    for side in both:
        side.forget()


def replace(target: Target, both: Sequence[Side], contents: Mapping[str, Content]) -> None:
    """Write to each side's Secret what differs, and wait until its proxy has taken it."""
    changed = [side for side in both if side.secret in contents and not contents[side.secret].items() <= side.read().items()]
    before = {side.secret: counted(target, side.gateway, CERTIFICATES_TAKEN) for side in changed}
    for side in changed:
        side.write(contents[side.secret])
    for side in changed:
        wait_for(
            f"the proxy in {side.cluster} has taken its new Secret {side.secret!r}",
            # A proxy that was started anew counts from 0, and begins with the new one.
            lambda: counted(target, side.gateway, CERTIFICATES_TAKEN) != before[side.secret],  # noqa: B023 - waited for in the loop
            seconds=TAKEN_WITHIN,
        )


def bundle(*authorities: str) -> str:
    """The certificates in several PEM texts, each once, in order."""
    end = "-----END CERTIFICATE-----\n"
    found = [part.strip() for text in authorities for part in (text.rstrip() + "\n").split(end) if part.strip()]
    return "".join(f"{part}\n{end}" for part in dict.fromkeys(found))
