"""Whatever an API server does to electors: there are never two leaders at once, at any step of the event loop."""

from __future__ import annotations

import asyncio
import random

import pytest
from support_api import api_double, eventually, running
from support_leases import QUICK, elector

pytestmark = pytest.mark.property


async def test_there_are_never_two_leaders_whatever_the_api_server_does():
    dice = random.Random(5)  # noqa: S311 - the same troubles every time
    async with api_double() as api:
        all_ = [elector(api, f"replica-{number}", QUICK) for number in range(3)]
        leaders: list[int] = []

        async def watch() -> None:
            while True:
                leaders.append(sum(each.is_leader for each in all_))
                await asyncio.sleep(0)

        async with running(watch(), *(each.run() for each in all_)):
            for _ in range(12):
                trouble = dice.choice(["refuse", "drop", "forget", "release", "nothing"])
                api.failing = (500, "broken") if trouble == "refuse" else None
                if trouble == "drop":
                    api.drop_connections()
                elif trouble == "forget":
                    api.forget_versions()
                elif trouble == "release":
                    await next((each for each in all_ if each.is_leader), all_[0]).release()
                await asyncio.sleep(dice.uniform(0.05, 0.9))
            api.failing = None
            await eventually(lambda: any(each.is_leader for each in all_), "in the end somebody leads")
        assert max(leaders) == 1, "one at most, at every moment"
