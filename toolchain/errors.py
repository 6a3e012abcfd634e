"""What the toolchain raises. Each text names the tool or the path, what is wrong with it, and what to do next."""

from __future__ import annotations


class ToolchainError(Exception):
    """Base of the errors below: a text for the user, never a traceback."""


class ToolMissing(ToolchainError):
    """A tool is asked for that is not installed."""


class InstallFailed(ToolchainError):
    """A tool could not be installed; nothing half-made is left of it."""


class Unavailable(ToolchainError):
    """One route to a tool does not lead there (no network, wrong digest); the next route is tried."""


class Stopped(ToolchainError):
    """The install is being stopped: interrupted, or another part of it failed."""
