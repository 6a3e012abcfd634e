"""What a writer must know of leader election: whether this replica leads, and how to run only while it does. `leases` is the election itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

Duty = Callable[[], Coroutine[Any, Any, None]]
"""Runs until cancelled. It is started anew for each term, and must then look at everything: another replica has written meanwhile."""


class Leadership(Protocol):
    """Whether this replica leads, for whoever writes. `holder` is who leads as seen last; `on_change(leads)` may be replaced."""

    identity: str
    holder: str
    on_change: Callable[[bool], None]

    @property
    def is_leader(self) -> bool: ...

    async def run(self) -> None: ...

    async def while_leading(self, *duties: Duty) -> None: ...

    async def release(self) -> None: ...


class AlwaysLeader:
    """No election: the only replica there is."""

    def __init__(self) -> None:
        self.identity = self.holder = ""
        self.on_change: Callable[[bool], None] = lambda leads: None
        self.is_leader = True

    async def run(self) -> None:
        self.on_change(True)

    async def while_leading(self, *duties: Duty) -> None:
        async with asyncio.TaskGroup() as group:
            for duty in duties:
                group.create_task(duty())

    async def release(self) -> None:
        """There is nothing to release."""
