"""Writing to a primary whose state is not what was last seen of it (`controlplane.fed.primaries`)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support_api import ApiDouble, api_double

from controlplane.fed.kinds import UPSTREAM
from controlplane.fed.primaries import Primaries, Primary
from controlplane.kube.errors import Conflict

pytestmark = pytest.mark.loopback

PRIMARY = Primary("local", ("gloo-system", "blue"))
FAILOVER: dict[str, Any] = {"prioritizedLocalities": []}


def member(api: ApiDouble) -> Any:
    return SimpleNamespace(writer=api.client())


async def test_a_primary_that_has_just_been_deleted_does_not_come_back():
    async with api_double() as api:
        seen = await api.put(UPSTREAM, "gloo-system", "blue", spec={"kube": {}})
        await api.remove(UPSTREAM, "gloo-system", "blue")
        with pytest.raises(Conflict):
            await Primaries(view=None, registry=None).apply(member(api), PRIMARY, seen, FAILOVER)
        assert api.get(UPSTREAM, "gloo-system", "blue") is None, "an Upstream of nothing but a failover would serve nobody"


async def test_what_is_there_already_is_not_written_again():
    async with api_double() as api:
        primaries = Primaries(view=None, registry=None)
        seen = await api.put(UPSTREAM, "gloo-system", "blue", spec={"kube": {}})
        await primaries.apply(member(api), PRIMARY, seen, FAILOVER)
        written = api.get(UPSTREAM, "gloo-system", "blue")
        assert written["spec"] == {"kube": {}, "failover": FAILOVER}, "one field, beside those of others"
        before = len(api.requests)
        await primaries.apply(member(api), PRIMARY, written, FAILOVER)
        assert len(api.requests) == before, "nothing is to be done"
        await primaries.apply(member(api), PRIMARY, written, {"prioritizedLocalities": [{"localityEndpoints": []}]})
        assert len(api.requests) == before + 1, "another failover is written"
