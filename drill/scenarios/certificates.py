"""The certificates of the connection between the clusters: rotated, authority and all, and expired."""

from __future__ import annotations

from drill.certificates import Authority, Validity, sides
from drill.record import Objective
from drill.rollout import restart
from drill.rotation import bundle, change_over, replace, restore
from drill.scenario import Expected, Scenario
from drill.scenarios import app
from drill.settled import settle
from drill.target import Target
from drill.waiting import wait_for

NOTICED_WITHIN = 30.0
"""Seconds in which the stack has to say that the standby is not proven."""


def _rotate(target: Target) -> None:
    """The rotation comes first, and whatever it loses counts; the break that is measured is that of the app."""
    both, authority = sides(target), Authority.create("the drill's authority")
    for side in both:
        side.keep()
    change_over(target, {side.secret: {**authority.issue(side.read()["tls.crt"]), "ca.crt": authority.pem} for side in both})
    app.fail(target)


def _rotate_back(target: Target) -> None:
    app.heal(target)
    restore(target)


def _expire(target: Target) -> None:
    server, client = sides(target)
    authority = Authority.create("the drill's authority")
    for side in (server, client):
        side.keep()
    expired = authority.issue(server.read()["tls.crt"], validity=Validity.ENDED)
    target.mark(f"the failover gateway of {server.cluster} gets a certificate that ended an hour ago")
    replace(target, {client.secret: {"ca.crt": bundle(client.read()["ca.crt"], authority.pem)}}, {server.secret: expired})
    restart(target, target.failover_gateway)  # connections outlive their certificate: this one is made anew
    reason = wait_for("the stack says that the standby is not proven", lambda: _unproven(target), seconds=NOTICED_WITHIN)
    target.mark(f"the stack has noticed: {reason}")


def _unproven(target: Target) -> str:
    tiers = (target.scheme().get("status") or {}).get("tiers", [])
    return next((f"standby not proven, {tier.get('unprovenReason', '')}" for tier in tiers if tier.get("proven") is False), "")


def _renew(target: Target) -> None:
    target.mark("the certificates of before are put back")
    restore(target)
    settle(target)


ROTATED = Scenario(
    name="certificate-rotated",
    title="Authority and certificates are rotated, and then the app fails",
    text="The Secrets of both sides get a new authority, then certificates of it, then nothing of the old one, while clients call; then the primary "
    "reports itself unhealthy, and the standby is reached with what is new. Healing puts the old ones back in the same order.",
    objective=Objective(),
    expected_during=Expected.GREEN,
    hold=3,
    settle=3,
    break_=_rotate,
    heal=_rotate_back,
)

EXPIRED = Scenario(
    name="certificate-expired",
    title="The certificate of the failover gateway has expired",
    text="The standby's gateway gets a certificate that ended an hour ago, and is restarted, since connections outlive their certificate. The "
    "primary serves and nothing is lost; but a failure of it now would be one of both. So the stack has to say it before: break is complete "
    "when the FailoverScheme's status says that the standby is not proven.",
    objective=Objective(),
    expected_during=Expected.BLUE,
    hold=2,
    settle=2,
    break_=_expire,
    heal=_renew,
)
