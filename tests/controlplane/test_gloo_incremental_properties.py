"""Whatever changes in whatever order: it comes to the same as translating everything anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_incremental import OTHER, PLACES, PROXY, Cluster, anew, present
from support_objects import VERSIONS, place

pytestmark = pytest.mark.property

steps = st.lists(
    st.one_of(
        st.sampled_from(VERSIONS).map(lambda version: {place(version): version}),
        st.sampled_from(PLACES).map(lambda where: {where: None}),
        st.lists(st.sampled_from(VERSIONS), max_size=6).map(lambda versions: {place(version): version for version in versions}),
        st.sampled_from([(PROXY,), (PROXY, OTHER), (OTHER,)]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_any_sequence_of_changes_comes_to_the_same_as_translating_everything(sequence: list[Any]) -> None:
    cluster = Cluster()
    for step in sequence:
        if isinstance(step, tuple):
            cluster.proxies = step
            cluster.change({})
        else:
            cluster.change(step)
    assert cluster.defects == [], "no translation raises"
    for proxy in cluster.proxies:
        expected, reports = anew(cluster, proxy)
        assert present(cluster.has[proxy]) == expected, "the proxy has exactly what it would be given after a restart"
        assert present(cluster.translator.resources(proxy)) == expected, "and so has one that connects now"
        if len(cluster.proxies) == 1:
            said = {ref: report for ref, report in cluster.reports.items() if report is not None}
            assert said == reports, "every object is told the same"
