"""What can go wrong with an API server, as types that a caller can decide by. No text here ever holds a credential."""

from __future__ import annotations


class KubeError(Exception):
    """Base of all errors of this package."""


class Unreachable(KubeError):
    """No answer: connection refused, reset, timed out, or TLS failed. Trying again is right."""


class ApiError(KubeError):
    """The API server answered with an error."""

    def __init__(self, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    """404: the object, or its whole kind, is not there (yet)."""


class Conflict(ApiError):
    """409: somebody else owns the field (see Owned), or the object is not the one that was meant."""


class Owned(Conflict):
    """409: another field manager owns a field that was applied without force."""


class Modified(ApiError):
    """409: the object changed while it was being written. Nothing is wrong: writing again is right."""


class Gone(ApiError):
    """410: the version to watch from is too old; list again."""


class Forbidden(ApiError):
    """401 or 403."""


class BadKubeconfig(KubeError, ValueError):
    """A kubeconfig that cannot be used; the text says why without quoting it."""


def api_error(*, status: int, reason: str, message: str) -> ApiError:
    """The error as its type. The API server has one reason for all conflicts: only the text tells a lost race from a field of another owner."""
    if status == 409 and "has been modified" in message:
        return Modified(status=status, reason=reason, message=message)
    if status == 409 and message.startswith("Apply failed with"):
        return Owned(status=status, reason=reason, message=message)
    kind = {404: NotFound, 409: Conflict, 410: Gone, 401: Forbidden, 403: Forbidden}.get(status, ApiError)
    return kind(status=status, reason=reason, message=message)
