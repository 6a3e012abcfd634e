"""How often to ask. Quick while there is little to ask, slower as there is more, so that asking never costs more than a small part of a core.

An answer costs the proxy's main thread, which health-checks too, about 30 ns a byte (measured, Envoy 1.40: 8 ms for 100 clusters of three endpoints
each, 277 kB), and gloo about half of that. So each batch is small, and the pause after it grows with its cost:

    failover Upstreams (3 endpoints each)    10      100     500     1,000    5,000
    everything asked every                   0.25 s  0.27 s  1.2 s   3 s      14 s
    share of a core at the proxy             1.1 %   3.6 %   3.9 %   3.2 %    4 %
"""

from __future__ import annotations

INTERVAL_SECONDS = 0.25
"""Nothing is asked more often than this."""
BATCH = 64
"""Clusters in one question: 5 ms of the proxy's main thread, and an URL that it accepts (100 names of any length allowed would be too long)."""
SHARE = 0.04
"""The part of a core that asking may cost: each proxy, and gloo for all proxies together."""
PROXY_SECONDS_PER_BYTE = 30e-9


def batches(clusters: list[str]) -> list[list[str]]:
    return [clusters[start : start + BATCH] for start in range(0, len(clusters), BATCH)]


def pause(*, count: int, took: float, size: int, own: float, proxies: int) -> float:
    """Seconds to wait after one of `count` batches that took `took` seconds, was `size` bytes, and cost gloo `own` seconds of computing."""
    cost = max(size * PROXY_SECONDS_PER_BYTE, own * proxies)
    return max(INTERVAL_SECONDS / count - took, cost / SHARE, 0.0)
