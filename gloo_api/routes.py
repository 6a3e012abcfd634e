"""A route: which requests, and what is done with them. VirtualServices and RouteTables hold them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from gloo_api.destinations import RouteAction
from gloo_api.label_selector import Expression
from gloo_api.matchers import Matcher
from gloo_api.meta import Port, ResourceRef, StrictModel
from gloo_api.route_options import RegexMatchAndSubstitute, RouteOptions

MAX_BODY = 4096
"""Bytes; Envoy refuses the routes of a whole Gateway for a longer one."""

_Text = Annotated[str, Field(pattern=r"^[^\x00-\x20]*$")]


class RedirectResponseCode(StrEnum):
    """Status of a redirect: 301, 302, 303, 307, 308."""

    MOVED_PERMANENTLY = "MOVED_PERMANENTLY"
    FOUND = "FOUND"
    SEE_OTHER = "SEE_OTHER"
    TEMPORARY_REDIRECT = "TEMPORARY_REDIRECT"
    PERMANENT_REDIRECT = "PERMANENT_REDIRECT"


class RedirectAction(StrictModel):
    """The client is sent elsewhere. At most one of `pathRedirect`, `prefixRewrite` and `regexRewrite`."""

    host_redirect: _Text = Field("", description="Host of the new URL. Default: the same.")
    path_redirect: _Text = Field("", description="Path of the new URL. Default: the same.")
    prefix_rewrite: _Text = Field("", description="What the matched path or prefix is replaced by. Default: it is kept.")
    regex_rewrite: RegexMatchAndSubstitute | None = Field(None, description="How the path is rewritten. Default: it is kept.")
    response_code: RedirectResponseCode = Field(RedirectResponseCode.MOVED_PERMANENTLY, description="Status. Default: MOVED_PERMANENTLY, 301.")
    https_redirect: bool = Field(False, description="Make the scheme https. Default: false.")
    strip_query: bool = Field(False, description="Leave out the query string. Default: false.")
    port_redirect: Port | None = Field(None, description="Port of the new URL. Default: the same.")

    @model_validator(mode="after")
    def _one_path(self) -> Self:
        if sum(map(bool, (self.path_redirect, self.prefix_rewrite, self.regex_rewrite))) > 1:
            raise ValueError("pathRedirect, prefixRewrite and regexRewrite exclude each other")
        return self


class DirectResponseAction(StrictModel):
    """The Gateway answers by itself."""

    status: Annotated[int, Field(ge=200, le=599)] = Field(description="Status.")
    body: str = Field("", description="Text of the answer, at most 4096 bytes. Default: none.")

    @model_validator(mode="after")
    def _short(self) -> Self:
        if (size := len(self.body.encode())) > MAX_BODY:
            raise ValueError(f"body has {size} bytes; allowed are {MAX_BODY}")
        return self


class RouteTableSelector(StrictModel):
    """RouteTables by namespace and label; all conditions hold. `labels` and `expressions` exclude each other."""

    namespaces: tuple[str, ...] = Field((), description='Namespaces; "*" is any. Default: that of the object with this selector.')
    labels: dict[str, str] = Field(default_factory=dict, description="Labels that a RouteTable must have.")
    expressions: tuple[Expression, ...] = Field((), description="Conditions on its labels.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.labels and self.expressions:
            raise ValueError("labels and expressions exclude each other")
        return self


class DelegateAction(StrictModel):
    """RouteTables decide. Exactly one of `ref`, `selector` and the older `name` with `namespace`."""

    ref: ResourceRef | None = Field(None, description="The RouteTable.")
    selector: RouteTableSelector | None = Field(None, description="The RouteTables that match, in the order of their weights.")
    name: str = Field("", description="Name of the RouteTable, as older manifests write it. Default: none, use ref.")
    namespace: str = Field("", description="Its namespace. Default: that of the object with this action.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [bool(self.name), self.ref is not None, self.selector is not None].count(True) != 1 or (self.namespace and not self.name):
            raise ValueError("exactly one of ref and selector is needed")
        return self


class Route(StrictModel):
    """Requests, and exactly one thing to do with them."""

    name: str = Field("", description="Name for people to read.")
    matchers: tuple[Matcher, ...] = Field((), description="Requests that match any of these. Default: every request.")
    inheritable_matchers: bool | None = Field(
        None,
        description="Add the parent's headers, methods and parameters to this route's matchers and those below. Default: as the parent.",
    )
    inheritable_path_matchers: bool | None = Field(
        None, description="Take the parent's path for this route's matchers and those below. Default: as the parent."
    )
    route_action: RouteAction | None = Field(None, description="Pass the requests on.")
    redirect_action: RedirectAction | None = Field(None, description="Send the client elsewhere.")
    direct_response_action: DirectResponseAction | None = Field(None, description="Answer at once.")
    delegate_action: DelegateAction | None = Field(None, description="Let RouteTables decide; the one matcher of the route has a prefix.")
    options: RouteOptions | None = Field(None, description="How the requests are passed on.")

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        actions = (self.route_action, self.redirect_action, self.direct_response_action, self.delegate_action)
        if sum(action is not None for action in actions) != 1:
            raise ValueError("exactly one of routeAction, redirectAction, directResponseAction and delegateAction is needed")
        if self.delegate_action is not None and (len(self.matchers) > 1 or any(matcher.exact or matcher.regex for matcher in self.matchers)):
            raise ValueError("a route that delegates has at most one matcher, with a prefix")
        return self
