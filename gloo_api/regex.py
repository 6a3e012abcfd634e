"""Regular expressions as Envoy takes them, by its own engine. One that it refuses would make it refuse the routes of a whole Gateway."""

from __future__ import annotations

from typing import Annotated

import re2
from pydantic import AfterValidator, Field

from gloo_api.names import REGEX_MAX_PROGRAM_SIZE

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def groups(pattern: str) -> int:
    """How many groups a pattern has. Raises ValueError for what Envoy would refuse."""
    try:
        compiled = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        (text,) = error.args
        raise ValueError(f"a regular expression of RE2 ({text.decode() if isinstance(text, bytes) else text})") from None
    if compiled.programsize > REGEX_MAX_PROGRAM_SIZE:
        raise ValueError(f"a regular expression whose RE2 program size is at most {REGEX_MAX_PROGRAM_SIZE}, not {compiled.programsize}")
    return int(compiled.groups)


def valid(pattern: str) -> str:
    """The pattern. Raises ValueError for what Envoy would refuse."""
    groups(pattern)
    return pattern


Regex = Annotated[str, Field(min_length=1), AfterValidator(valid)]
