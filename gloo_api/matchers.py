"""Which requests a route is for. A condition that is not known here is refused: to ignore one would match more requests than were meant."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gloo_api.meta import StrictModel
from gloo_api.regex import Regex, valid

HeaderName = Annotated[str, Field(max_length=16_384, min_length=1, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Method = Annotated[str, Field(pattern=r"^[A-Za-z]+(-[A-Za-z]+)*$")]
Path = Annotated[str, Field(min_length=1, pattern=r"^/[^\x00-\x20]*$")]


class HeaderMatcher(StrictModel):
    """One header of the request. The name of the host is the header ":authority", the method ":method"."""

    name: Annotated[str, Field(min_length=1, pattern=r"^:?[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] = Field(description="Name of the header.")
    value: str = Field("", description="What it must be. Default: anything, it must be there.")
    regex: bool = Field(False, description="Take value for a regular expression of RE2 that the whole header matches. Default: false.")
    invert_match: bool = Field(False, description="Match the requests that would not match otherwise, those without the header too. Default: false.")

    @model_validator(mode="after")
    def _regex_is_valid(self) -> Self:
        if self.regex and self.value:
            valid(self.value)
        return self


class QueryParameterMatcher(StrictModel):
    """One parameter of the query string."""

    name: str = Field(min_length=1, max_length=1024, description="Name of the parameter.")
    value: str = Field("", description="What it must be. Default: anything, it must be there.")
    regex: bool = Field(False, description="Take value for a regular expression of RE2 that the whole value matches. Default: false.")

    @model_validator(mode="after")
    def _regex_is_valid(self) -> Self:
        if self.regex and self.value:
            valid(self.value)
        return self


class Matcher(StrictModel):
    """At most one of `prefix`, `exact` and `regex`, and conditions that all hold. Without a path: every path."""

    prefix: Path | None = Field(None, description='Start of the path. Default: "/", where exact and regex are not set either.')
    exact: Path | None = Field(None, description="The path without the query string. Default: none.")
    regex: Regex | None = Field(None, description="Regular expression of RE2 for the whole path without the query string. Default: none.")
    case_sensitive: bool | None = Field(None, description="Whether upper and lower case differ in prefix and exact. Default: true.")
    headers: tuple[HeaderMatcher, ...] = Field((), description="Headers that the request must have.")
    query_parameters: tuple[QueryParameterMatcher, ...] = Field((), description="Parameters that the query string must have.")
    methods: tuple[Method, ...] = Field((), max_length=20, description="HTTP methods, any of which the request must have. Default: any method.")

    @model_validator(mode="after")
    def _one_path(self) -> Self:
        given = [name for name in ("prefix", "exact", "regex") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"at most one of prefix, exact and regex, not {' and '.join(given)}")
        if self.regex is not None and self.case_sensitive is False:
            raise ValueError('caseSensitive has no effect on a regex; begin the regex with "(?i)" instead')
        return self

    @property
    def path(self) -> str:
        """The path in whatever way it is matched."""
        return self.exact or self.regex or self.prefix or "/"
