"""Asks every proxy again and again, and says for each Upstream with failover who serves. A loop per proxy: a slow one holds up no other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane import metrics
from controlplane.gloo.serving import pace
from controlplane.gloo.serving.hosts import Host
from controlplane.gloo.serving.proxies import NoAnswer, ProxyClient, Target
from controlplane.gloo.serving.requests import WINDOW_SECONDS, RequestWindow
from controlplane.gloo.serving.state import Observation, Silence, judge
from controlplane.gloo.serving.watched import Watched
from controlplane.kube.objects import Key
from gloo_api.serving import FailoverStatus

log = logging.getLogger(__name__)

STALE_SECONDS = 2.0
"""A proxy whose last answer is older than this (and than two rounds of asking) counts as one that does not answer."""


@dataclass
class _Known:
    """What one proxy has said."""

    since: float
    """When it was last heard, or first asked (Unix time)."""
    error: str = ""
    round_seconds: float = 0.0
    own: float = 0.0
    """What a batch costs gloo, in seconds of computing."""
    hosts: dict[str, tuple[Host, ...]] = field(default_factory=dict)
    windows: dict[str, RequestWindow] = field(default_factory=dict)
    at_rest: dict[str, Watched] = field(default_factory=dict)
    """Upstreams (as they were then) that have been judged without a request in the window."""


class Poller:
    """`said(upstream, status)` is called whenever something was learnt of an Upstream; `before(key)` is what its status said last, if anything."""

    def __init__(
        self,
        *,
        client: ProxyClient,
        upstreams: Callable[[], Mapping[str, Watched]],
        targets: Callable[[], frozenset[Target]],
        before: Callable[[Key], FailoverStatus | None],
        said: Callable[[Key, FailoverStatus], None],
    ) -> None:
        self._client = client
        self._upstreams = upstreams
        self._targets = targets
        self._before = before
        self._said = said
        self._known: dict[Target, _Known] = {}
        self._answering: frozenset[Target] = frozenset()
        self._since: dict[Key, float] = {}
        """When the serving priority of an Upstream was seen to change, by this process."""

    async def run(self) -> None:
        """Ask until cancelled."""
        self._known.clear()
        self._since.clear()
        asking: dict[Target, asyncio.Task[None]] = {}
        try:
            while True:
                targets = self._targets()
                for target in asking.keys() - targets:
                    asking.pop(target).cancel()
                    self._forget(target)
                for target in targets - asking.keys():
                    self._known[target] = _Known(since=time.time())
                    asking[target] = asyncio.ensure_future(self._ask_on(target))
                self._mark_silence()
                await asyncio.sleep(pace.INTERVAL_SECONDS)
        finally:
            for target, task in asking.items():
                task.cancel()
                self._forget(target)
            await asyncio.gather(*asking.values(), return_exceptions=True)

    def _forget(self, target: Target) -> None:
        self._known.pop(target, None)
        for gauge in (metrics.POLL_AGE, metrics.POLL_ERRORS):
            gauge.remove_by_labels({"proxy": target.name})

    async def _ask_on(self, target: Target) -> None:
        known = self._known[target]
        metrics.POLL_AGE.labels(target.name).set_function(lambda: time.time() - known.since)
        metrics.POLL_ERRORS.labels(target.name)
        while True:
            started = time.monotonic()
            batches = pace.batches(sorted(self._upstreams())) or [[]]
            for batch in batches:
                await asyncio.sleep(await self._ask(target, known, batch, count=len(batches)))
            known.round_seconds = time.monotonic() - started

    async def _ask(self, target: Target, known: _Known, clusters: Sequence[str], *, count: int) -> float:
        """Ask for one batch; returns how long to wait then."""
        if not clusters:
            known.since = time.time()  # nothing is asked, so nothing that is known gets old
            return pace.INTERVAL_SECONDS
        started = time.monotonic()
        try:
            answer = await self._client.ask(target, clusters)
        except NoAnswer as error:
            metrics.POLL_ERRORS.labels(target.name).inc()
            if not known.error:
                log.warning("proxy does not say who serves", extra={"proxy": target.name, "address": target.address, "reason": str(error)})
            known.error = str(error)
            return pace.INTERVAL_SECONDS
        took = time.monotonic() - started
        computing = time.thread_time()
        metrics.POLL_SECONDS.observe(took)
        if known.error:
            log.info("proxy says who serves again", extra={"proxy": target.name})
        known.error, known.since = "", time.time()
        try:
            self._learn(known, clusters, answer.hosts)
        except Exception:  # A defect here must not end the control plane; it is in the log, and the status goes stale.
            log.exception("what a proxy says could not be judged", extra={"proxy": target.name})
        own = time.thread_time() - computing + answer.computing
        # Smoothed: one slow answer (a garbage collection, say) is no reason to look away for a second.
        known.own = own if not known.own else 0.9 * known.own + 0.1 * own
        return pace.pause(count=count, took=took, size=answer.size, own=known.own, proxies=len(self._known))

    def _learn(self, known: _Known, clusters: Sequence[str], answer: Mapping[str, tuple[Host, ...]]) -> None:
        upstreams = self._upstreams()
        for cluster in clusters:
            if cluster not in answer:
                known.hosts.pop(cluster, None)
                known.windows.pop(cluster, None)
                known.at_rest.pop(cluster, None)
                continue
            before, known.hosts[cluster] = known.hosts.get(cluster), answer[cluster]
            window = known.windows.setdefault(cluster, RequestWindow())
            window.add(answer[cluster], at=known.since)
            # Most Upstreams rest: what was said of one without a change and without a request in the window still holds.
            rests = window.idle and before == answer[cluster] and known.at_rest.get(cluster) is upstreams.get(cluster)
            if cluster in upstreams and not rests:
                self._judge(upstreams[cluster])
                known.at_rest.pop(cluster, None)
                if window.idle:
                    known.at_rest[cluster] = upstreams[cluster]
        for gone in known.hosts.keys() - upstreams.keys():
            for kept in (known.hosts, known.windows, known.at_rest):
                kept.pop(gone, None)

    def _mark_silence(self) -> None:
        """Judge everything when other proxies answer than before. While none does, again and again: Upstreams may come."""
        answering = frozenset(target for target, known in self._known.items() if self._fresh(known))
        if answering != self._answering or not answering:
            self._answering = answering
            for upstream in self._upstreams().values():
                self._judge(upstream)

    def _fresh(self, known: _Known) -> bool:
        return time.time() - known.since < max(STALE_SECONDS, 2 * known.round_seconds)

    def _judge(self, upstream: Watched) -> None:
        now = time.time()
        observations, silent = [], []
        settled_after = max(self._since.get(upstream.key, 0.0), now - WINDOW_SECONDS)
        for target, known in self._known.items():
            if not self._fresh(known):
                silent.append(Silence(proxy=target.name, since=known.since, reason=known.error or "no answer"))
            elif upstream.cluster in known.hosts:
                window = known.windows[upstream.cluster]
                observations.append(
                    Observation(
                        proxy=target.name,
                        hosts=known.hosts[upstream.cluster],
                        recent=window.since(now - WINDOW_SECONDS),
                        settled=window.since(settled_after),
                    )
                )
        if not observations and len(silent) < len(self._known):
            return  # A proxy answers, and does not have the cluster yet.
        before = self._before(upstream.key)
        status = judge(upstream, observations, silent=silent, previous=before, now=now)
        if before is None or status.serving is None or before.serving is None or status.serving.since != before.serving.since:
            self._since[upstream.key] = now
        self._said(upstream.key, status)
