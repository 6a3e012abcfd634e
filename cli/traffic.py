"""Break the app, heal it, and watch who answers: the last chapter of the guide in one word each.

`fail` and `heal` do what the guide does by hand: port-forward to the admin port of the app's Envoy and POST to its health check filter. What a switch
costs is not measured here.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import Counter
from enum import Enum

from cli import kubeconfigs
from cli.forwarding import port_forward
from cli.stack import Stack

ADMIN_PORT = 19000


class Health(Enum):
    """What an app's health check filter is told to answer."""

    FAIL = "fail"
    OK = "ok"


def set_health(stack: Stack, *, color: str, health: Health) -> None:
    """Make the app of this color report itself unhealthy, or healthy again."""
    with port_forward(kubeconfigs.find_deployment(stack, f"echo-{color}"), f"deploy/echo-{color}", ADMIN_PORT) as port:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/healthcheck/{health.value}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 -- loopback
            print(f"{color}: POST /healthcheck/{health.value} -> {response.status} {response.read().decode().strip()}")


def watch(url: str, *, seconds: float | None = None, rate: float = 10.0) -> None:
    """Print who answers `url`, a line a second, and a line of its own when that changes. Ends after `seconds`, or never.

    `rate` is in requests a second, one after the other.
    """
    print(f"watching {url}, {rate:g} requests a second; Ctrl-C ends it")
    started = time.monotonic()
    second, last, counts = 0, "", Counter[str]()
    while seconds is None or time.monotonic() - started < seconds:
        answer = ask(url)
        if answer != last:
            print(f"{time.strftime('%H:%M:%S')}  now {answer}" + (f" (was {last})" if last else ""), flush=True)
            last = answer
        counts[answer] += 1
        if int(time.monotonic() - started) > second:
            second = int(time.monotonic() - started)
            print(f"{time.strftime('%H:%M:%S')}  " + "  ".join(f"{who} x{count}" for who, count in sorted(counts.items())), flush=True)
            counts.clear()
        time.sleep(1 / rate)


def ask(url: str) -> str:
    """Who answers, or what went wrong, in a few words."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 -- the stack's own http URL
            return str(response.read().decode().strip())
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except OSError as error:
        return f"no answer ({getattr(error, 'reason', error)})"
