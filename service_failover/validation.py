"""Checks of a component's arguments, made before the component makes anything.

A rule takes the path of a value and the value, and returns it as it is to be used; it raises pulumi.InputPropertyError when the value is not allowed.
What is an output of another resource is checked when it is known: in a preview of something new that may be never, in an update always.
What Kubernetes or the control plane refuse at once and clearly is not checked here again.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

import pulumi
from pulumi.output import Unknown

from service_failover.addressing import Addressing
from service_failover.apps import HIGHEST_WEIGHT, LONGEST_CLUSTER_NAME, LONGEST_COLOR
from service_failover.certificate_settings import HIGHEST_EPOCH
from service_failover.edition_settings import Edition
from service_failover.reading import DNS_LABEL, LABEL_VALUE, duration, shown
from service_failover.reading import DNS_NAME as DNS_NAME_PATTERN
from service_failover.reading import LABEL_NAME as LABEL_NAME_PATTERN

Args = TypeVar("Args")
Rule = Callable[[str, Any], Any]


def arguments(declared: type[Args], **rules: Rule) -> Callable[[Args], Args]:
    """A function that checks a component's arguments: `declared` says which there are, `rules` has one for each. None counts as absent."""
    check = record(declared, **rules)
    return lambda given: cast(Args, check("", given))


def record(declared: type[Any], **rules: Rule) -> Rule:
    """A mapping with the fields of the TypedDict `declared`."""
    required: frozenset[str] = declared.__required_keys__
    fields = required | declared.__optional_keys__
    if rules.keys() != fields:
        raise TypeError(f"{declared.__name__} needs a rule for each of its fields; differing: {', '.join(sorted(rules.keys() ^ fields))}")

    def check(path: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise refused(path, value, f"a mapping with {', '.join(sorted(fields))}")
        inner = f"{path}." if path else ""
        given = {key: each for key, each in value.items() if each is not None}
        for key in given:
            if key not in fields:
                raise pulumi.InputPropertyError(f"{inner}{key}", f"there is no such argument; allowed: {', '.join(sorted(fields))}")
        for key in sorted(required - given.keys()):
            raise pulumi.InputPropertyError(f"{inner}{key}", "missing")
        return {key: _when_known(rules[key], f"{inner}{key}", each) for key, each in given.items()}

    return check


@dataclass(frozen=True)
class Plain:
    """A value that has to be there when the program runs, since it decides what there is."""

    rule: Rule

    def __call__(self, path: str, value: Any) -> Any:
        if _comes_later(value):
            raise pulumi.InputPropertyError(path, "this is an output of a resource; allowed: a plain value, since it decides what there is")
        return self.rule(path, value)


def sequence(rule: Rule) -> Rule:
    """A list of at least one such value: an empty one never means what it looks like."""

    def check(path: str, value: Any) -> list[Any]:
        if isinstance(value, str) or not isinstance(value, Sequence) or not value:
            raise refused(path, value, "a list with at least one entry")
        return [_when_known(rule, f"{path}[{index}]", each) for index, each in enumerate(value)]

    return check


def text(pattern: re.Pattern[str], allowed: str, *, longest: int = 4096) -> Rule:
    """A string that matches `pattern` as a whole."""
    return _rule(lambda value: isinstance(value, str) and len(value) <= longest and bool(pattern.fullmatch(value)), allowed)


def optional(rule: Rule) -> Rule:
    """As `rule` says, or "", which means the default."""
    return lambda path, value: value if value == "" else rule(path, value)


def integer(lowest: int, highest: int) -> Rule:
    """A whole number from `lowest` to `highest`."""
    return _rule(lambda value: type(value) is int and lowest <= value <= highest, f"a whole number from {lowest} to {highest}")


def choice(options: type[StrEnum]) -> Rule:
    """A member of `options`, or its value."""

    def check(path: str, value: Any) -> StrEnum:
        try:
            return options(value)
        except ValueError:
            raise refused(path, value, ", ".join(options)) from None

    return check


def one_of(*values: str) -> Rule:
    """One of a few texts."""
    return _rule(lambda value: value in values, ", ".join(values))


def duration_text(path: str, value: Any) -> str:
    """A duration from 1ms to an hour, such as 1s or 250ms, in the JSON form of protobuf (0.25s)."""
    seconds = duration(value)
    if seconds is None:
        raise refused(path, value, "a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms")
    return seconds


def secret_text(path: str, value: Any) -> str:
    """Some text that no message may show."""
    if not isinstance(value, str) or not value:
        raise pulumi.InputPropertyError(path, f"this is {'empty' if value == '' else type(value).__name__}; allowed: some text (it is not shown)")
    return value


def label_map(path: str, value: Any) -> dict[str, Any]:
    """Labels of Kubernetes objects."""
    if not isinstance(value, Mapping):
        raise refused(path, value, "a mapping of label names to values")
    for name in value:
        LABEL_NAME(f"{path}.{name}", name)
    return {name: _when_known(LABEL, f"{path}.{name}", each) for name, each in value.items()}


def address(path: str, value: Any) -> str:
    """An address that a container can listen on."""
    if value != "$(POD_IP)":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise refused(path, value, "an IP address, or $(POD_IP), the one of the pod") from None
    return str(value)


def networks(path: str, value: Any) -> str:
    """Two networks of one size, `CIDR=CIDR`."""
    try:
        first, second = (ipaddress.ip_network(each) for each in value.split("="))
        same = first.prefixlen == second.prefixlen and first.version == second.version
    except (AttributeError, ValueError):
        same = False
    if not same:
        raise refused(path, value, "two networks of one size, such as 10.64.0.0/10=127.64.0.0/10")
    return str(value)


def base64_text(path: str, value: Any) -> str:
    """PEM in base64, or nothing."""
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise refused(path, value, 'PEM in base64, as in a kubeconfig, or "" for an authority that every client knows') from None
    return str(value)


def refused(path: str, value: Any, allowed: str) -> pulumi.InputPropertyError:
    """The error for a value that is not allowed."""
    return pulumi.InputPropertyError(path, f"{shown(value)} is not allowed; allowed: {allowed}")


def _rule(accepts: Callable[[Any], bool], allowed: str) -> Rule:
    def check(path: str, value: Any) -> Any:
        if not accepts(value):
            raise refused(path, value, allowed)
        return value

    return check


def _when_known(rule: Rule, path: str, value: Any) -> Any:
    if _comes_later(value) and not isinstance(rule, Plain):
        return pulumi.Output.from_input(value).apply(lambda known: rule(path, known))
    return rule(path, value)


def _comes_later(value: Any) -> bool:
    return isinstance(value, pulumi.Output | Unknown) or inspect.isawaitable(value)


_LABEL = "a-z, 0-9 and inner '-'"
NAMESPACE = text(DNS_LABEL, f"the name of a namespace: 1 to 63 characters: {_LABEL}", longest=63)
CLUSTER = text(DNS_LABEL, f"the name of a cluster: 1 to {LONGEST_CLUSTER_NAME} characters: {_LABEL}", longest=LONGEST_CLUSTER_NAME)
COLOR = text(DNS_LABEL, f"1 to {LONGEST_COLOR} characters: {_LABEL}, such as blue", longest=LONGEST_COLOR)
SERVICE = text(DNS_LABEL, f"the name of a Service: 1 to 63 characters: {_LABEL}", longest=63)
OBJECT = text(DNS_NAME_PATTERN, f"the name of an object: 1 to 253 characters: {_LABEL} or '.'", longest=253)
DNS_NAME = text(DNS_NAME_PATTERN, f"a DNS name: parts of {_LABEL}, joined by '.'", longest=253)
SERVER_NAME = text(
    re.compile(rf"{DNS_NAME_PATTERN.pattern}_{DNS_LABEL.pattern}"),
    "the name of an Upstream and its namespace, such as default-service-green-10000_gloo-system",
)
PATH = text(re.compile(r"/\S*"), "a path: '/' and what follows, without spaces")
IMAGE = text(re.compile(r"\S+"), "the name of a container image")
SERVER = text(re.compile(r"https://[^\s/]+/?"), "the URL of an API server, such as https://10.0.0.1:6443")
NAME = text(re.compile(r"\S(.{0,62}\S)?"), "1 to 64 characters, without spaces around them")
LABEL_NAME = text(LABEL_NAME_PATTERN, "the name of a label, such as team or example.com/team", longest=317)
LABEL = text(
    re.compile(rf"({LABEL_VALUE.pattern})?"), "the value of a label: up to 63 characters: letters, digits and inner '-', '_' or '.'", longest=63
)
TOPOLOGY = text(LABEL_VALUE, "1 to 63 characters: letters, digits and inner '-', '_' or '.', such as us-east-1", longest=63)
CONTEXT = text(re.compile(r"\S(.*\S)?"), "the name of a context in the kubeconfig")
ANYTHING = text(re.compile(r".*"), "text")
FLAG = Plain(_rule(lambda value: isinstance(value, bool), "true, false"))
PORT = integer(1, 65535)
THRESHOLD = integer(1, 100)
PERCENT = integer(0, 100)
WEIGHT = integer(1, HIGHEST_WEIGHT)
REPLICAS = Plain(integer(1, 100))
EDITION = Plain(choice(Edition))
EPOCH = Plain(integer(1, HIGHEST_EPOCH))
ADDRESSING = record(
    Addressing,
    listen_address=address,
    loopback_address=address,
    realise=networks,
    service_type=one_of("LoadBalancer", "NodePort"),
    dns_policy=one_of("ClusterFirst", "Default"),
)
