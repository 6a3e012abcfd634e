"""From what the proxies say to who serves. Pure: observations and what was said before in, the new status out.

Each proxy decides for itself, so several may differ for a moment or, with a broken path, for long. What is said is the majority's choice and, of
health, the worst; who differs is named.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from controlplane.gloo.serving import faults, requests
from controlplane.gloo.serving.hosts import Host
from controlplane.gloo.serving.load import Counts, Load, load
from controlplane.gloo.serving.watched import Watched
from gloo_api.serving import Confirmation, FailoverStatus, PriorityStatus, ProxiesStatus, Reason, Serving

ENOUGH = 5
"""Requests that a priority must be due before their absence says anything."""
NAMED = 5
"""At most so many proxies are named in a message."""


@dataclass(frozen=True)
class Observation:
    """What one proxy says of one cluster. `recent`: requests of the window; `settled`: those counted since the serving priority came to serve."""

    proxy: str
    hosts: tuple[Host, ...]
    recent: requests.Counts = field(default_factory=dict)
    settled: requests.Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """A proxy that does not answer."""

    proxy: str
    since: float
    """Unix time of its last answer, or of the first question."""
    reason: str


def judge(
    upstream: Watched, observations: Sequence[Observation], *, silent: Sequence[Silence] = (), previous: FailoverStatus | None, now: float
) -> FailoverStatus:
    """The status. Without observations that of before, marked as old. `now` is Unix time; `previous` may come from another process."""
    if not observations:
        return _stale(previous, silent, now=now)
    time = timestamp(now)
    views = [_View(observation, upstream) for observation in observations]
    choice, agreeing = _majority(views)
    priorities = _priorities(upstream, views, previous=previous, time=time)
    serving = _serving(choice, agreeing, previous=previous.serving if previous else None, time=time)
    settled = requests.total(view.observation.settled for view in views)
    serving = serving.model_copy(update={"confirmed": confirmation(settled, choice, load=0 if choice is None else priorities[choice].load)})
    return FailoverStatus(
        serving=serving,
        standby_proven=all(each.proven for each in priorities[1:]),
        priorities=priorities,
        proxies=_proxies(observations, silent, message="; ".join([*_differing(views, choice), *_silence(silent)])),
    )


def _proxies(observations: Sequence[Observation], silent: Sequence[Silence], *, message: str) -> ProxiesStatus:
    proxies = ProxiesStatus(total=len(observations) + len(silent), answering=len(observations))
    return proxies.model_copy(update={"message": message}) if message else proxies


class _View:
    """An observation by priority, and where it makes Envoy send requests."""

    def __init__(self, observation: Observation, upstream: Watched) -> None:
        self.observation = observation
        self.hosts: list[list[Host]] = [[] for _ in range(upstream.priorities)]
        for host in observation.hosts:
            if host.key.priority < upstream.priorities:  # A spec that has just lost a priority is not in the proxy yet.
                self.hosts[host.key.priority].append(host)
        self.load: Load = load([_counts(hosts) for hosts in self.hosts], factor=upstream.factor, panic_percent=upstream.panic_percent)
        usable = any(host.healthy or host.degraded for host in observation.hosts)
        self.choice: int | None = max(range(upstream.priorities), key=lambda p: (self.load.shares[p], -p)) if usable else None


def _counts(hosts: Sequence[Host]) -> Counts:
    return Counts(
        healthy=sum(host.healthy for host in hosts),
        degraded=sum(host.degraded for host in hosts),
        excluded=sum(host.excluded for host in hosts),
        total=len(hosts),
    )


def _majority(views: Sequence[_View]) -> tuple[int | None, _View]:
    """The choice of most proxies (of a tie, the one further from the primary), and a proxy that made it."""
    votes = Counter(view.choice for view in views)
    choice = max(votes, key=lambda each: (votes[each], float("inf") if each is None else each))
    return choice, next(view for view in views if view.choice == choice)


def _serving(choice: int | None, view: _View, *, previous: Serving | None, time: str) -> Serving:
    if previous is not None and previous.since and previous.priority == choice:
        return previous
    before = previous.priority if previous is not None and previous.since else 0
    first = previous is None or not previous.since
    if first and choice == 0:
        reason, message = Reason.FIRST_SEEN, "the first choice serves"
    elif choice is not None and (before is None or choice < before):
        reason, message = Reason.RECOVERED, f"priority {choice}: {faults.recovered(view.hosts[choice])}"
    else:
        reason, message = faults.why(before or 0, view.hosts[before or 0] if (before or 0) < len(view.hosts) else ())
    if view.load.panic:
        message += "; in panic, Envoy sends requests to every endpoint, healthy or not"
    return Serving(priority=choice, since=time, reason=reason, message=message)


def confirmation(settled: requests.Counts, choice: int | None, *, load: int) -> Confirmation:
    """Whether the requests since the switch went to the priority that should serve: at least half of the `load` percent that Envoy's rule gives it.

    Too few requests to tell count as confirmed when it got any of them: one request in a hundred elsewhere is a retry or Envoy's dice.
    """
    everything, its_own = sum(settled.values()), settled.get(choice, 0) if choice is not None else 0
    if everything * load < 100 * ENOUGH and choice is not None:
        return Confirmation.CONFIRMED if its_own else Confirmation.NO_TRAFFIC
    if not everything:
        return Confirmation.NO_TRAFFIC
    return Confirmation.CONFIRMED if choice is not None and 200 * its_own >= everything * load else Confirmation.DIFFERS


def _priorities(upstream: Watched, views: Sequence[_View], *, previous: FailoverStatus | None, time: str) -> tuple[PriorityStatus, ...]:
    shares = requests.shares(requests.total(view.observation.recent for view in views), priorities=upstream.priorities)
    found = []
    for priority in range(upstream.priorities):
        hosts = [view.hosts[priority] for view in views]
        status = PriorityStatus(
            priority=priority,
            healthy=min(sum(host.healthy for host in each) for each in hosts),
            total=max(len(each) for each in hosts),
            load=round(sum(view.load.shares[priority] for view in views) / len(views)),
            request_share=shares[priority],
        )
        if priority:
            missing = _unproven(upstream, priority, views)
            before = next((each for each in previous.priorities if each.priority == priority), None) if previous else None
            since = before.unproven_since if before is not None and before.proven is False and before.unproven_since else time
            fault = {"unproven_reason": missing, "unproven_since": since} if missing else {}
            status = status.model_copy(update={"proven": not missing} | fault)
        found.append(status)
    return tuple(found)


def _unproven(upstream: Watched, priority: int, views: Sequence[_View]) -> str:
    """What is missing for the proof that a standby works; empty when nothing is."""
    if not upstream.checked:
        return "not health-checked: spec.healthChecks is empty"
    expected = upstream.endpoints[priority - 1]
    if not expected:
        return "it has no endpoints"
    for view in views:
        hosts = view.hosts[priority]
        if failing := [host for host in hosts if not host.passes_check]:
            return f"{faults.described(failing)}{'' if len(views) == 1 else f' (seen by {view.observation.proxy})'}"
        if len(hosts) < expected:
            return f"only {len(hosts)} of {expected} endpoints are configured; see status.statuses"
    return ""


def _differing(views: Sequence[_View], choice: int | None) -> list[str]:
    others = [view for view in views if view.choice != choice]
    texts = [f"{view.observation.proxy} sends to {'nobody' if view.choice is None else f'priority {view.choice}'}" for view in others]
    return [*texts[:NAMED], *([f"and {len(texts) - NAMED} more differ"] if len(texts) > NAMED else [])]


def _silence(silent: Sequence[Silence]) -> list[str]:
    texts = [f"{each.proxy} has not answered since {timestamp(each.since)}: {each.reason}" for each in silent]
    return [*texts[:NAMED], *([f"and {len(texts) - NAMED} more do not answer"] if len(texts) > NAMED else [])]


def _stale(previous: FailoverStatus | None, silent: Sequence[Silence], *, now: float) -> FailoverStatus:
    before = previous or FailoverStatus()
    known = before.proxies.stale_since if before.proxies else None
    since = known or timestamp(max((each.since for each in silent), default=now))
    message = "; ".join(_silence(silent)) or "no proxy has a status port, or none is ready"
    return before.model_copy(update={"proxies": ProxiesStatus(total=len(silent), answering=0, stale_since=since, message=message)})


def timestamp(moment: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
