"""What the stack itself notices while it is broken: health at the gateway, and who serves by the status of the FailoverScheme.

It reads only. An admin port or an API server that is away is part of a drill: it is asked again.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

import httpx2 as httpx

from cli.workspace import CommandFailed
from drill.gateway import CLUSTERS, healths, hosts_in
from drill.record import Event, EventKind

if TYPE_CHECKING:
    from drill.target import Target

POLL = 0.1
"""Seconds between two looks at the gateway."""
AGAIN = 0.5
"""Seconds before something that did not answer is asked again."""
Emit = Callable[[Event], None]


def observe(target: Target, *, emit: Emit, stop: threading.Event) -> None:
    """Emit the state that is found first and each change, until `stop`. Raises nothing.

    HEALTH is what the gateway's newest proxy says, ten times a second, on an embedded cluster; on others it is from the scheme's status. SERVING is
    from there everywhere; it is up to half a second late.
    """
    watcher = threading.Thread(target=_watch_scheme, args=(target, Changes(emit=emit, with_health=not target.embedded), stop), daemon=True)
    watcher.start()
    if target.embedded:
        _poll_gateway(target, Changes(emit=emit), stop)
    stop.wait()
    watcher.join()


class Changes:
    """Emits what differs from before, so that each state is told once."""

    def __init__(self, *, emit: Emit, with_health: bool = True) -> None:
        self._emit, self._with_health = emit, with_health
        self._healths: dict[int, bool] = {}
        self._serving: tuple[int | None, str] | None = None
        self._unproven = ""

    def health(self, now: Mapping[int, bool]) -> None:
        """Health by priority; one that has lost its last endpoint is missing, and not healthy."""
        at = time.monotonic()
        for priority in sorted({*self._healths, *now}):
            healthy = now.get(priority, False)
            if self._healths.get(priority) is not healthy:
                self._healths[priority] = healthy
                text = f"priority {priority} {'healthy' if healthy else 'unhealthy'}"
                self._emit(Event(at, EventKind.HEALTH, text, priority, healthy))

    def status(self, status: Mapping[str, Any]) -> None:
        """The status of the FailoverScheme."""
        at, tiers = time.monotonic(), status.get("tiers", [])
        if self._with_health:
            self.health({tier["priority"]: tier.get("healthy", 0) > 0 for tier in tiers})
        if serving := status.get("serving"):
            now = (serving.get("priority"), str(serving.get("name") or "nobody"))
            if now != self._serving:
                self._serving = now
                self._emit(Event(at, EventKind.SERVING, f"{now[1]} serves", now[0]))
        unproven = "; ".join(f"standby not proven: {tier.get('unprovenReason', '')}" for tier in tiers if tier.get("proven") is False)
        if unproven != self._unproven:
            self._unproven = unproven
            self._emit(Event(at, EventKind.NOTE, unproven or "standby proven"))


def _poll_gateway(target: Target, changes: Changes, stop: threading.Event) -> None:
    """By one connection to one pod for as long as it answers: to look up the pod each time would cost a process, and the API server."""
    while not stop.is_set():
        with (
            contextlib.suppress(CommandFailed, httpx.HTTPError, ValueError),
            target.admin_ports(target.gateway, newest=True) as urls,
            httpx.Client(timeout=2) as client,
        ):
            while urls and not stop.wait(POLL):
                found = hosts_in(client.get(f"{urls[0]}/{CLUSTERS}").raise_for_status().json(), cluster=target.roles.envoy_cluster)
                if found:
                    changes.health(healths(found))
        stop.wait(AGAIN)


def _watch_scheme(target: Target, changes: Changes, stop: threading.Event) -> None:
    """By `kubectl get --watch`, which is started anew when it ends."""
    roles = target.roles
    command = [*target.kubectl_command(roles.management, timeout="0"), "get", "failoverscheme", "-n", roles.scheme_namespace, roles.scheme]
    while not stop.is_set():
        with subprocess.Popen(
            [*command, "--watch", "-o", 'jsonpath={.status}{"\\n"}'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            reader = threading.Thread(target=_read, args=(cast(IO[str], process.stdout), changes), daemon=True)
            reader.start()
            while reader.is_alive() and not stop.wait(POLL):
                pass
            process.kill()
            reader.join()
        stop.wait(AGAIN)


def _read(lines: IO[str], changes: Changes) -> None:
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            changes.status(json.loads(line))
