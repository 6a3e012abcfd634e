"""The routes of a VirtualService with those of the RouteTables that it delegates to, in one list, each with what it inherits.

A RouteTable serves only what its parent hands over: its matchers begin with the parent's prefix and repeat the parent's conditions, or they inherit
them; a route that does not is left out. Where no RouteTable can be found, or they go round in a circle, the delegated requests are answered 503:
left to the routes that follow they could reach what they were not meant for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from controlplane.translation import retry
from controlplane.translation.reporter import Reporter, Reporters
from controlplane.translation.types import Key, ObjectRef
from gloo_api.label_selector import all_hold
from gloo_api.matchers import Matcher
from gloo_api.route_options import RouteOptions, VirtualHostOptions
from gloo_api.route_table import RouteTable
from gloo_api.routes import DelegateAction, Route, RouteTableSelector
from gloo_api.virtual_service import VirtualService

RouteTables = Mapping[Key, RouteTable]

MAX_ROUTES = 20_000
"""Of one VirtualService. RouteTables that delegate to each other in many ways multiply; a few objects could ask for millions."""


class TooManyRoutes(ValueError):
    """A VirtualService comes to more than MAX_ROUTES routes."""


@dataclass(frozen=True)
class Place:
    """A field of an object. Problems in a RouteTable are told to the VirtualService too: it is its requests that they concern."""

    report: Reporter
    path: str
    owner: str = ""
    above: Place | None = None

    def warn(self, field: str, message: str) -> None:
        self.report.warn(f"{self.path}{field}", message)
        if self.above is not None:
            self.above.report.warn(self.above.path, f"{self.owner}: {self.path}{field}: {message}")

    def at(self, field: str) -> Place:
        return replace(self, path=f"{self.path}{field}")


@dataclass(frozen=True)
class Layer:
    """Options of a route, of one that delegates to it, or of the virtual host, and where they are."""

    options: RouteOptions | VirtualHostOptions | None
    place: Place


@dataclass(frozen=True)
class Leaf:
    """A route that delegates no further. `layers`: its options and those that it inherits, its own first. `route` None: answer 503.

    `under` is the prefix that was delegated to it, `namespace` that of the object it is in, `retries` whether failover's own are wanted.
    """

    name: str
    route: Route | None
    matchers: tuple[Matcher, ...]
    under: str
    layers: tuple[Layer, ...]
    place: Place
    namespace: str
    retries: bool


@dataclass(frozen=True)
class _Parent:
    """What a delegating route hands down. `tables` are those that lead to it, to notice a circle."""

    matcher: Matcher
    inherit: bool = False
    inherit_path: bool = False
    layers: tuple[Layer, ...] = ()
    tables: tuple[Key, ...] = ()
    retries: bool = True
    name: str = ""

    @property
    def prefix(self) -> str:
        return self.matcher.prefix or "/"


def leaves(service: VirtualService, *, route_tables: RouteTables, reports: Reporters) -> list[Leaf]:
    """All routes of a VirtualService, in the order in which they are tried. Problems are reported where they are. Raises TooManyRoutes."""
    namespace, name = service.key
    report = reports[ObjectRef("VirtualService", namespace, name)]
    place = Place(report, "spec.virtualHost")
    top = _Parent(
        matcher=Matcher(),
        layers=(Layer(service.spec.virtual_host.options, place),),
        retries=retry.wanted(service, report),
        name=f"{namespace}.{name}",
    )
    visit = _Visit(route_tables=route_tables, reports=reports)
    return list(visit.routes(service.spec.virtual_host.routes, parent=top, place=place, namespace=namespace))


@dataclass
class _Visit:
    route_tables: RouteTables
    reports: Reporters
    visited: int = 0

    def routes(self, routes: Sequence[Route], *, parent: _Parent, place: Place, namespace: str) -> Iterator[Leaf]:
        for index, route in enumerate(routes):
            self.visited += 1
            if self.visited > MAX_ROUTES:
                raise TooManyRoutes(f"come to more than {MAX_ROUTES} routes with those of the RouteTables; delegate to each of them once")
            here = place.at(f".routes[{index}]")
            matchers = _merged(route, parent, here) if parent.tables else route.matchers
            if matchers is None:
                continue
            leaf = Leaf(
                name=f"{parent.name}.{index}",
                route=route,
                matchers=matchers,
                under=parent.prefix,
                layers=(Layer(route.options, here), *parent.layers),
                place=here,
                namespace=namespace,
                retries=parent.retries,
            )
            if route.delegate_action is None:
                yield leaf
            else:
                yield from self._delegated(route.delegate_action, route, leaf, parent)

    def _delegated(self, action: DelegateAction, route: Route, leaf: Leaf, parent: _Parent) -> Iterator[Leaf]:
        tables = self._tables(action, namespace=leaf.namespace, place=leaf.place)
        if not tables:
            yield replace(leaf, route=None)
        child = replace(
            parent,
            matcher=leaf.matchers[0] if leaf.matchers else Matcher(),
            inherit=parent.inherit if route.inheritable_matchers is None else route.inheritable_matchers,
            inherit_path=parent.inherit_path if route.inheritable_path_matchers is None else route.inheritable_path_matchers,
            layers=leaf.layers,
        )
        for weight, group in groupby(tables, key=lambda table: table.spec.weight):
            alike = list(group)
            found = [each for table in alike for each in self._table(table, parent=child, leaf=leaf)]
            if len(alike) > 1:
                leaf.place.warn(
                    ".delegateAction.selector", f"chooses {len(alike)} RouteTables of weight {weight}: their routes are sorted by path, longest first"
                )
                found.sort(key=lambda each: min(map(_specific, each.matchers or (Matcher(),))))
            yield from found

    def _table(self, table: RouteTable, *, parent: _Parent, leaf: Leaf) -> Iterator[Leaf]:
        key = Key(*table.key)
        owner = f"RouteTable {key.namespace}/{key.name}"
        if key in parent.tables:
            circle = " -> ".join(f"{each.namespace}/{each.name}" for each in (*parent.tables[parent.tables.index(key) :], key))
            leaf.place.warn(".delegateAction", f"{owner} leads back to itself: {circle}; the route answers 503")
            yield replace(leaf, route=None)
            return
        report = self.reports[ObjectRef("RouteTable", *key)]
        place = Place(report, "spec", owner=owner, above=leaf.place.above or leaf.place.at(".delegateAction"))
        inside = replace(
            parent,
            tables=(*parent.tables, key),
            retries=retry.wanted(table, report) and parent.retries,
            name=f"{leaf.name}.{key.namespace}.{key.name}",
        )
        yield from self.routes(table.spec.routes, parent=inside, place=place, namespace=key.namespace)

    def _tables(self, action: DelegateAction, *, namespace: str, place: Place) -> list[RouteTable]:
        """The smallest weight first."""
        if action.selector is not None:
            chosen = [table for _, table in sorted(self.route_tables.items()) if _selects(action.selector, table, namespace=namespace)]
            if not chosen:
                place.warn(".delegateAction.selector", "matches no RouteTable; the route answers 503")
            return sorted(chosen, key=lambda table: table.spec.weight)
        key = Key(action.ref.namespace or namespace, action.ref.name) if action.ref else Key(action.namespace or namespace, action.name)
        table = self.route_tables.get(key)
        if table is None:
            field = "ref" if action.ref else "name"
            place.warn(f".delegateAction.{field}", f"RouteTable {key.namespace}/{key.name} does not exist or is not usable; the route answers 503")
        return [] if table is None else [table]


def _selects(selector: RouteTableSelector, table: RouteTable, *, namespace: str) -> bool:
    namespaces = selector.namespaces or (namespace,)
    labels = table.metadata.labels
    return (
        ("*" in namespaces or table.metadata.namespace in namespaces)
        and selector.labels.items() <= labels.items()
        and all_hold(selector.expressions, labels)
    )


def _specific(matcher: Matcher) -> tuple[int, int, int, str]:
    """Sorts what matches less first: a route behind one that matches more would never be reached."""
    kind = 0 if matcher.exact else 1 if matcher.regex else 2
    return -len(matcher.methods), kind, -len(matcher.path), matcher.path


def _merged(route: Route, parent: _Parent, place: Place) -> tuple[Matcher, ...] | None:
    """The matchers of a route of a RouteTable with what they inherit; None: one would match what was not delegated, which is reported."""
    inherit = parent.inherit if route.inheritable_matchers is None else route.inheritable_matchers
    inherit_path = parent.inherit_path if route.inheritable_path_matchers is None else route.inheritable_path_matchers
    above = parent.matcher
    merged = []
    for index, matcher in enumerate(route.matchers or (Matcher(),)):
        changes: dict[str, object] = {}
        if inherit_path:
            changes |= {"prefix": above.prefix, "exact": None, "regex": None, "case_sensitive": above.case_sensitive}
        if inherit:
            changes |= {"headers": above.headers + matcher.headers, "query_parameters": above.query_parameters + matcher.query_parameters}
        if above.methods and (inherit or matcher.methods):
            changes["methods"] = tuple(method for method in matcher.methods or above.methods if method in above.methods)
        child = matcher.model_copy(update=changes)
        if fault := _outside(child, above, prefix=parent.prefix):
            field, message = fault
            where = f".matchers[{index}]{field}" if route.matchers else ".matchers"
            place.warn(where, f"{message}; the route is left out")
            return None
        merged.append(child)
    return tuple(merged)


def _outside(child: Matcher, above: Matcher, *, prefix: str) -> tuple[str, str] | None:
    """The field by which a matcher leaves what its parent's matches, and why; None: it does not."""
    same = str.lower if above.case_sensitive is False else str
    if not same(child.path).startswith(same(prefix)):
        return "", f'the path "{child.path}" does not begin with the prefix of the parent, "{prefix}"'
    if (child.case_sensitive is False) != (above.case_sensitive is False):
        return ".caseSensitive", "differs from that of the parent"
    if missing := [header.name for header in above.headers if header not in child.headers]:
        return ".headers", f"lack {', '.join(missing)} of the parent; repeat them or set inheritableMatchers"
    if missing := [each.name for each in above.query_parameters if each not in child.query_parameters]:
        return ".queryParameters", f"lack {', '.join(missing)} of the parent; repeat them or set inheritableMatchers"
    if above.methods and not child.methods:
        return ".methods", f"are none of those of the parent, {', '.join(above.methods)}"
    return None
