"""How requests are passed on: options of virtual hosts and of routes.

What protects (authentication, rate limits, firewalls, ...) and is not supported is refused; what only changes comfort is kept and reported.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from gloo_api.headers import HeaderManipulation
from gloo_api.matchers import HeaderName
from gloo_api.meta import Duration, GuardedModel, Model
from gloo_api.regex import Regex, groups
from gloo_api.retries import RetryPolicy

_GUARDS = frozenset({
    "extauth", "jwt", "jwtStaged", "jwtProvidersStaged", "rbac", "waf", "dlp", "csrf", "extProc", "bufferPerRoute", "ratelimit",
    "ratelimitBasic", "ratelimitEarly", "ratelimitRegular", "rateLimitConfigs", "rateLimitEarlyConfigs", "rateLimitRegularConfigs",
})  # fmt: skip


class GoogleRe2(Model):
    """RE2 is the only engine."""


class RegexMatcher(Model):
    """A regular expression."""

    regex: Regex = Field(description="Regular expression of RE2.")
    google_re2: GoogleRe2 | None = Field(None, description="Engine; there is no other.")


class RegexMatchAndSubstitute(Model):
    """A text that is changed wherever a regular expression matches."""

    pattern: RegexMatcher = Field(description="What is replaced.")
    substitution: Annotated[str, Field(pattern=r"^[^\x00-\x20]*$")] = Field(
        "", description=r"What it is replaced by; \1 to \9 are the groups of the pattern. Default: nothing."
    )

    @model_validator(mode="after")
    def _groups_exist(self) -> Self:
        count = groups(self.pattern.regex)
        for found in re.findall(r"\\(.?)", self.substitution, re.DOTALL):
            if found != "\\" and not (found.isdigit() and int(found) <= count):
                raise ValueError(rf'substitution may have \0 to \{count}, and \\ for a backslash, not "\{found}"')
        return self


class VirtualHostOptions(GuardedModel):
    """Options of all routes."""

    GUARDS = _GUARDS

    retries: RetryPolicy | None = Field(None, description="Retries of routes that have none of their own.")
    header_manipulation: HeaderManipulation | None = Field(None, description="Headers to set and to remove, besides those of the routes.")
    include_request_attempt_count: bool | None = Field(
        None, description="Tell the destination which try it is, in x-envoy-attempt-count. Default: false."
    )
    include_attempt_count_in_response: bool | None = Field(
        None, description="Tell the client how many tries it took, in x-envoy-attempt-count. Default: false."
    )


class RouteOptions(GuardedModel):
    """Options of a route. A delegating route hands them down to routes that do not set the same."""

    GUARDS = _GUARDS

    timeout: Duration | None = Field(None, description='How long an answer may take, all tries together; "0s" is no limit. Default: "15s".')
    idle_timeout: Duration | None = Field(None, description='How long a request may be silent; "0s" is no limit. Default: five minutes.')
    retries: RetryPolicy | None = Field(
        None, description="Tries after the first one. Default: none, or failover's own where the Upstream has failover."
    )
    prefix_rewrite: str | None = Field(
        None, pattern=r"^[^\x00-\x20]*$", description="What the matched path or prefix is replaced by. Default: it is kept."
    )
    regex_rewrite: RegexMatchAndSubstitute | None = Field(None, description="How the path is rewritten. Default: it is kept.")
    host_rewrite: Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x20]+$")] | None = Field(
        None, description="Host that the destination sees. Default: as the client sent it."
    )
    auto_host_rewrite: bool | None = Field(None, description="Let the destination see its own host name, where it has one. Default: false.")
    host_rewrite_header: HeaderName | None = Field(None, description="Header of the request that holds the host. Default: none.")
    host_rewrite_path_regex: RegexMatchAndSubstitute | None = Field(None, description="How the host is made from the path. Default: it is kept.")
    append_x_forwarded_host: bool | None = Field(None, description="Pass on a host that was rewritten, in x-forwarded-host. Default: false.")
    header_manipulation: HeaderManipulation | None = Field(None, description="Headers to set and to remove.")

    @model_validator(mode="after")
    def _one_rewrite(self) -> Self:
        for names in (PATH_REWRITES, HOST_REWRITES):
            given = [type(self).model_fields[name].alias or name for name in names if getattr(self, name) is not None]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} exclude each other")
        return self


PATH_REWRITES = ("prefix_rewrite", "regex_rewrite")
HOST_REWRITES = ("host_rewrite", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex")
"""Of each of these a route has one, and so a route's own one hides every one of its parents'."""
