"""Headers that are set and removed on the way. What Envoy would refuse is refused here: it would refuse all routes of a Gateway for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gloo_api import header_format
from gloo_api.matchers import HeaderName
from gloo_api.meta import Model, StrictModel


def _value(text: str) -> str:
    """Raises ValueError for what Envoy could not make a header of."""
    if any((ord(character) < 32 and character != "\t") or ord(character) == 127 for character in text):
        raise ValueError("a text without control characters")
    if not header_format.valid(text):
        raise ValueError(header_format.ALLOWED)
    return text


def _settable(name: str) -> str:
    """Envoy routes by the host: it may be rewritten (hostRewrite), not set as a header."""
    if name.lower() == "host":
        raise ValueError("another header than the host; use hostRewrite")
    return name


HeaderText = Annotated[str, Field(max_length=16384), AfterValidator(_value)]
SettableHeader = Annotated[HeaderName, AfterValidator(_settable)]


class HeaderValue(StrictModel):
    """A header."""

    key: SettableHeader = Field(description="Name of the header.")
    value: HeaderText = Field("", description="What it is set to; Envoy's commands, such as %REQ(name)%, are replaced. Default: nothing.")


class HeaderValueOption(StrictModel):
    """A header to set."""

    header: HeaderValue = Field(description="The header.")
    append: bool = Field(True, description="Keep values that are there already, and add this one; false replaces them. Default: true.")


class HeaderManipulation(Model):
    """Headers to set and to remove."""

    request_headers_to_add: tuple[HeaderValueOption, ...] = Field((), max_length=100, description="Set on requests before they are passed on.")
    request_headers_to_remove: tuple[SettableHeader, ...] = Field((), description="Removed from requests before they are passed on.")
    response_headers_to_add: tuple[HeaderValueOption, ...] = Field((), max_length=100, description="Set on answers.")
    response_headers_to_remove: tuple[SettableHeader, ...] = Field((), description="Removed from answers.")
