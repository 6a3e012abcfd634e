"""The one error that a user of this package sees. Its text is the whole message: what is wrong, what is allowed, what to run next; never a key."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An embedded cluster cannot be made, reached or removed, for a reason that the caller can act on."""
