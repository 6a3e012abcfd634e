"""Whatever the health of the priorities: each request goes to one of them, or none is served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.gloo.serving.load import Counts, load

pytestmark = pytest.mark.property


counts = st.builds(
    lambda healthy, degraded, excluded, dead: Counts(
        healthy=healthy, degraded=degraded, excluded=excluded, total=healthy + degraded + excluded + dead
    ),
    *(st.integers(0, 5),) * 4,
)


@given(st.lists(counts, min_size=1, max_size=5), st.integers(1, 1000), st.floats(0, 100))
def test_shares_are_a_hundred_percent_or_nothing(priorities: list[Counts], factor: int, panic: float) -> None:
    shares = load(priorities, factor=factor, panic_percent=panic).shares
    assert sum(shares) in (0, 100), "every request goes somewhere, or none does"
    assert all(share >= 0 for share in shares), "no share is negative"
