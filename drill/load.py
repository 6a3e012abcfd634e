"""What a probe sends: plain values that go to the probe's process as JSON. No I/O."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

HIGHEST_RATE = 5000.0
LONGEST = 3600.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request. Redirects are not followed, and nothing is ever sent again."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        """Raises ValueError for a URL that no request can be sent to, and for a method or a header that would be more than one line."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url: {self.url!r} is not allowed; allowed: http://... or https://...")
        lines = {"url": self.url, "method": self.method} | {f"headers: {name!r}": f"{name}{value}" for name, value in self.headers.items()}
        for field_name, line in lines.items():
            if not line.isprintable() or not line.isascii():
                raise ValueError(f"{field_name}: {line!r} is not allowed; allowed: one line of printable ASCII characters")


@dataclass(frozen=True, kw_only=True)
class Load:
    """An open-loop load: requests leave on schedule, whether or not earlier ones have been answered. It ends by itself after `seconds`."""

    requests: tuple[Request, ...]
    """Sent in turn, one after the other, and again from the first."""
    rate: float
    """Requests a second, all together."""
    seconds: float
    timeout: float = 10.0
    """Seconds after which a request that was not answered is given up, counted from the time at which it was to be sent."""
    most_in_flight: int = 4000
    """A request that would be one more is not sent, and counted as `Kind.UNSENT`: the measurement is at its limit then, not the server."""

    def __post_init__(self) -> None:
        """Raises ValueError for a load without a request, or without bounds."""
        if not self.requests:
            raise ValueError("requests: () is not allowed; needs at least one request")
        for name, highest in (("rate", HIGHEST_RATE), ("seconds", LONGEST), ("timeout", LONGEST), ("most_in_flight", 20_000)):
            if not 0 < getattr(self, name) <= highest:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not allowed; allowed: above 0, up to {highest:g}")

    @property
    def count(self) -> int:
        """How many requests there are to send."""
        return max(1, round(self.rate * self.seconds))

    def to_json(self) -> str:
        """One line, for `from_json`."""
        values = asdict(self)
        for request in values["requests"]:
            request["body"] = base64.b64encode(request["body"]).decode()
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Load:
        """What `to_json` wrote."""
        values = json.loads(text)
        requests = tuple(Request(**{**request, "body": base64.b64decode(request["body"])}) for request in values.pop("requests"))
        return cls(requests=requests, **values)
