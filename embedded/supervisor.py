"""Keeps the parts of one cluster running until it is told to stop. It runs what `parts.json` says and knows nothing of specs, tools or certificates.

One asyncio loop, one thread: children ask the kernel to be killed with the thread that started them (Pdeathsig), so that nothing outlives a killed
supervisor. The watcher (watcher.py) is its child, without that, and takes its place. Not healed here: a supervisor that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded import process
from embedded.https import UNREACHABLE, request
from embedded.layout import StateDir, read_json
from embedded.parts import API_SERVER, NODE_AGENT, STOP_ORDER, Part, part_from
from embedded.rbac import NAME, node_agent_rbac
from embedded.spec import spec_from

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a part that ended is started again; doubled each time it ends within STEADY seconds."""
STEADY = 10.0
PROBE_INTERVAL, PROBE_SECONDS, PROBE_FAILURES = 2.0, 5.0, 3
"""A part that answers none of three probes hangs, and is killed: found within 21 s. Patient, because a busy machine is not a broken part."""
START_INTERVAL, START_SECONDS = 0.1, 60.0
"""Until its first answer a part is asked often, and is given up after a minute."""
RIGHTS_KNOWN = ("/readyz/poststarthook/rbac/bootstrap-roles", "/readyz/informer-sync")
"""Answered with 200 when the API server knows what its clients may do, about a second before it calls itself ready."""
LOG_BYTES = 8 * 1024 * 1024
"""A log is bounded to this, and the one before it as well."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

log = logging.getLogger("embedded")


def supervise(state: StateDir) -> int:
    """Supervises the cluster in `state` until SIGTERM. Exit code 0 also when the cluster is not meant to run, or has a supervisor already."""
    os.umask(0o077)
    os.chdir("/")
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        lock = os.open(state.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # deleted meanwhile
        return 0
    if not _lock_within(lock, seconds=process.KILL_SECONDS) or not state.desired.exists():
        return 0
    process.write_record(state.record("supervisor"), os.getpid())
    asyncio.run(Supervisor(state).run())
    return 0


class Supervisor:
    """The parts of one cluster and their keepers."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._parts = [part_from(document) for document in read_json(state.parts)]
        self._api_ready = asyncio.Event()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def run(self) -> None:
        """Runs until SIGTERM, or until the cluster is not meant to run; then stops everything, in order."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        opening = asyncio.create_task(self._open_api())
        endless = [self._keep_house(), self._keep_watcher(), *(self._keep(part) for part in self._parts)]
        tasks = [asyncio.create_task(work) for work in endless]
        await asyncio.wait([asyncio.create_task(stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
        tasks.append(opening)
        for task in tasks:
            task.cancel()
        failures = [result for result in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(result, Exception)]
        self._stop()
        if failures:
            raise failures[0]

    async def _keep(self, part: Part) -> None:
        """Starts a part again and again, never while its predecessor is there: two etcds on one directory would destroy it."""
        pause, restarts = FIRST_PAUSE, 0
        while True:
            if part.needs_api:
                await self._api_ready.wait()
            predecessor = process.read_record(self._state.record(part.name))
            if predecessor and process.refers_to(predecessor.pid, self._state.root):
                process.end([predecessor], grace=0)
            if part.name == NODE_AGENT:
                process.end(process.below(self._state.node), grace=0)  # what pods had started themselves
            started = time.monotonic()
            try:
                child = self._spawn(part.name, part.argv, restarts=restarts, with_parent=True)
            except OSError as error:  # no program at this path any more, no process left, no room on the disk
                outcome = f"not started: {error}"
            else:
                prober = asyncio.create_task(self._probe(part, child))
                outcome = _meaning(await _ended(child))
                prober.cancel()
            lived = time.monotonic() - started
            restarts = restarts_after(restarts, lived=lived)
            log.info("%s ended after %.1f s (%s); again in %.1f s", part.name, lived, outcome, pause)
            await asyncio.sleep(pause)
            pause = FIRST_PAUSE if lived >= STEADY else min(pause * 2, LONGEST_PAUSE)

    async def _keep_watcher(self) -> None:
        """Runs the watcher; if it is killed, another one."""
        argv = (sys.executable, "-m", "embedded", "watch", "--state-dir", str(self._state.root), "--supervisor", str(os.getpid()))
        restarts = 0
        while True:
            with contextlib.suppress(OSError):
                await _ended(self._spawn("watcher", argv, restarts=restarts, with_parent=False, log_name="supervisor"))
            restarts += 1
            await asyncio.sleep(FIRST_PAUSE)

    async def _probe(self, part: Part, child: subprocess.Popen[bytes]) -> None:
        """Kills a part that does not become well, or that hangs: an ended part is something `_keep` knows how to heal."""
        started = time.monotonic()
        while not await _well(part, seconds=PROBE_SECONDS):
            if time.monotonic() - started > START_SECONDS:
                log.info("%s did not get well within %.0f s: killed", part.name, START_SECONDS)
                child.kill()
                return
            await asyncio.sleep(START_INTERVAL)
        log.info("%s is well %.2f s after its start", part.name, time.monotonic() - started)
        failures = 0
        while failures < PROBE_FAILURES:
            await asyncio.sleep(PROBE_INTERVAL)
            failures = 0 if await _well(part, seconds=PROBE_SECONDS) else failures + 1
        log.info("%s did not answer %d probes: killed", part.name, PROBE_FAILURES)
        child.kill()

    async def _open_api(self) -> None:
        """Gives the node agent its rights, then lets the parts start that need the API."""
        api = next(part.endpoint for part in self._parts if part.name == API_SERVER)
        wanted = node_agent_rbac(spec_from(read_json(self._state.cluster)["spec"]).node_name)
        while True:
            with contextlib.suppress(*UNREACHABLE):
                answers = [
                    await request(
                        api, f"{path}?fieldManager={NAME}&force=true", method="PATCH", body=document, content_type="application/apply-patch+yaml"
                    )
                    for path, document in wanted.items()
                ]
                answers += [await request(api, path) for path in RIGHTS_KNOWN]
                if all(answer.ok for answer in answers):
                    self._api_ready.set()
                    log.info("the API is open")
                    return
            await asyncio.sleep(START_INTERVAL)

    async def _keep_house(self) -> None:
        """Bounds the logs; returns when the cluster is not meant to run any more, as when somebody removed its directory by hand."""
        while self._state.desired.exists():
            with contextlib.suppress(OSError):
                for path in self._state.logs.glob("*.log"):
                    bound_log(path, limit=LOG_BYTES)
            await asyncio.sleep(PROBE_INTERVAL)

    def _spawn(self, name: str, argv: tuple[str, ...], *, restarts: int, with_parent: bool, log_name: str | None = None) -> subprocess.Popen[bytes]:
        output = os.open(self._state.log(log_name or name), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=child_environment(dict(os.environ)),
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()) if with_parent else None,
            )
        finally:
            os.close(output)
        try:
            process.write_record(self._state.record(name), child.pid, restarts=restarts)
        except OSError:  # what is not recorded could not be stopped by anybody else
            child.kill()
            child.wait()
            raise
        self._children[name] = child
        return child

    def _stop(self) -> None:
        """Ends the watcher, so that it heals nothing, then the parts in their order, each within its grace."""
        graces = {part.name: part.grace for part in self._parts}
        for names in (("watcher",), *STOP_ORDER):
            children = [self._children[name] for name in names if name in self._children]
            started = time.monotonic()
            process.end([found for child in children if (found := process.identify(child.pid))], grace=max(graces.get(name, 0) for name in names))
            log.info("%s ended within %.2f s", ", ".join(names), time.monotonic() - started)
        process.end(process.below(self._state.node), grace=0)


def restarts_after(restarts: int, *, lived: float) -> int:
    """How often in a row a part has ended, once more after `lived` seconds. One that had run for long does not end each time that it is started."""
    return 1 if lived >= STEADY else restarts + 1


def bound_log(path: Path, *, limit: int) -> None:
    """Copies a log of more than `limit` bytes to `<name>.log.1` and empties it. Its writer appends, so it goes on at the new end."""
    if path.stat().st_size > limit:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)


def child_environment(own: dict[str, str]) -> dict[str, str]:
    """What a part gets of our environment: no proxy setting may stand between loopback addresses, and nobody's KUBECONFIG is taken up by accident."""
    return {name: own[name] for name in ("PATH", "HOME", "LANG", "TZ", "PYTHONPATH") if name in own}


async def _well(part: Part, *, seconds: float) -> bool:
    try:
        return (await request(part.endpoint, part.health, seconds=seconds)).ok
    except UNREACHABLE:
        return False


async def _ended(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a child, when it has ended; negative for a signal."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(child.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return child.wait()


def _meaning(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _die_with(parent: int) -> Callable[[], Any]:
    """For a child, before its program starts: to be killed when `parent` ends, also if that happened before it could ask."""

    def ask() -> None:
        if LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL)) != 0 or os.getppid() != parent:
            os._exit(127)

    return ask


def _lock_within(descriptor: int, *, seconds: float) -> bool:
    """Waits for a predecessor that is ending; False when another supervisor is there to stay."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(START_INTERVAL)
        else:
            return True
