"""Certificates and authorities of a running stack, changed over in an order in which each side trusts the other at every moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from drill.certificates import Content, sides
from drill.containers import wait_until_ready
from drill.gateway import CERTIFICATES_TAKEN, counted_at
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
    now = {side.secret: side.read() for side in sides(target)}
    everybody = bundle(*(content["ca.crt"] for content in [*now.values(), *wanted.values()]))
    replace(
        target,
        {secret: {"ca.crt": everybody} for secret in wanted},
        {secret: {**content, "ca.crt": everybody} for secret, content in wanted.items()},
        wanted,
    )


def restore(target: Target) -> None:
    """Change over to what was kept, if anything was, and keep it no longer."""
    both = sides(target)
    kept = {side.secret: content for side in both if (content := side.kept()) is not None}
    if any(side.read() != kept[side.secret] for side in both if side.secret in kept):
        for side in both:
            wait_until_ready(target, side.gateway)  # who is asked below must not be about to end
        change_over(target, kept)
    for side in both:
        side.forget()


def replace(target: Target, *steps: Mapping[str, Content]) -> None:
    """Step by step write to each side's Secret what differs, and wait until its proxy has taken it."""
    both = [side for side in sides(target) if any(side.secret in step for step in steps)]
    now = {side.secret: side.read() for side in both}
    with ExitStack() as stack:
        urls = {side.secret: stack.enter_context(target.admin_ports(side.gateway)) for side in both}
        for step in steps:
            changed = [side for side in both if not step.get(side.secret, {}).items() <= now[side.secret].items()]
            before = {url: _taken(url) for side in changed for url in urls[side.secret]}
            for side in changed:
                side.write(step[side.secret])
                now[side.secret].update(step[side.secret])
            for side in changed:
                wait_for(
                    f"every proxy in {side.cluster} has taken its new Secret {side.secret!r}",
                    lambda: all(_taken(url) > before[url] for url in urls[side.secret]),  # noqa: B023 - waited for in the loop
                    seconds=TAKEN_WITHIN,
                )


def _taken(url: str) -> int:
    """How many certificates the proxy with this admin port has taken."""
    return counted_at([url], CERTIFICATES_TAKEN)


def bundle(*authorities: str) -> str:
    """The certificates in several PEM texts, each once, in order."""
    end = "-----END CERTIFICATE-----\n"
    found = [part.strip() for text in authorities for part in (text.rstrip() + "\n").split(end) if part.strip()]
    return "".join(f"{part}\n{end}" for part in dict.fromkeys(found))
