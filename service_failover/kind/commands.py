"""The commands of a cluster's life, as shell scripts that stand alone: they are stored in the stack's state and run from there.

So a cluster can be deleted when the checkout, and the Python that made it, are gone. What they work on comes as environment variables.
"""

from __future__ import annotations

from pathlib import Path

from service_failover.kind.document import GENERATION_MARK, OWNER_MARK


def script(verb: str) -> str:
    """The script `create`, `update`, `ready` or `delete`, for /bin/sh."""
    return "\n".join((Path(__file__).with_name(f"{part}.sh").read_text()) for part in ("common", verb))


def environment(*, kind_name: str, owner: str) -> dict[str, str]:
    """The variables of every script."""
    return {"CLUSTER": kind_name, "OWNER": f"{OWNER_MARK}{owner}"}


def generation_environment(generation: str) -> dict[str, str]:
    """The variable by which `create` knows what it has made."""
    return {"GENERATION": f"{GENERATION_MARK}{generation}"}
