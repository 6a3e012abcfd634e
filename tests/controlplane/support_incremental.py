"""A cluster that changes object by object, for tests of what a change costs and comes to."""

from __future__ import annotations

from typing import Any

from support_objects import NAMESPACE, VERSIONS, Object, Place, place

from controlplane.gloo.inputs import Inputs
from controlplane.translation import translate
from controlplane.translation.results import Resources
from controlplane.translation.translator import Translator
from controlplane.translation.types import Key, ObjectRef, ProxyRef, Report

PROXY = ProxyRef(namespace=NAMESPACE, bind_address="127.77.0.9")
OTHER = ProxyRef(namespace=NAMESPACE, name="other")
TYPES = ("clusters", "endpoints", "secrets", "listeners", "routes")
PLACES = tuple(dict.fromkeys(place(version) for version in VERSIONS))


def realise(address: str) -> str:
    return address.replace("10.", "127.", 1)


class Cluster:
    """A cluster that changes object by object, and what its proxies and its objects' statuses have come to."""

    def __init__(self, *present: Object, proxies: tuple[ProxyRef, ...] = (PROXY,)) -> None:
        self.inputs = Inputs()
        self.defects: list[ObjectRef] = []
        self.has: dict[ProxyRef, Resources[bytes]] = {}
        self.reports: dict[ObjectRef, Report] = {}
        self.translator: Translator[bytes] = Translator(
            self.inputs.now,
            realise=realise,
            pack=lambda _, message: message.SerializeToString(deterministic=True),
            on_defect=lambda ref, _: self.defects.append(ref),
        )
        self.proxies = proxies
        self.change({place(each): each for each in present})

    def put(self, value: Object) -> Resources[bytes]:
        """Change one object; returns what its proxy is sent."""
        return self.change({place(value): value})[self.proxies[0]]

    def remove(self, where: Place) -> Resources[bytes]:
        return self.change({where: None})[self.proxies[0]]

    def change(self, values: dict[Place, Object | None]) -> dict[ProxyRef, Resources[bytes]]:
        changed = {change for (kind, *key), value in values.items() for change in self.inputs.read(kind, Key(*key), value)}
        updates = self.translator.update(changed, proxies=self.proxies)
        self.has = {ref: resources for ref, resources in self.has.items() if ref in updates}
        for ref, resources in updates.items():
            self.has.setdefault(ref, Resources()).update(resources)
        for ref, report in self.translator.reports.take_changed().items():
            self.reports[ref] = report
        return updates

    def state_of(self, kind: str, name: str) -> str:
        return self.reports[ObjectRef(kind, NAMESPACE, name)].state.value


def present(resources: Any) -> dict[str, dict[str, Any]]:
    return {each: {name: value for name, value in getattr(resources, each).items() if value is not None} for each in TYPES}


def anew(cluster: Cluster, proxy: ProxyRef) -> tuple[dict[str, dict[str, Any]], dict[ObjectRef, Report]]:
    """The reference: everything translated at once."""
    translation = translate(cluster.inputs.now, proxy=proxy, realise=realise)
    messages = present(translation)
    return {each: {name: message.SerializeToString(deterministic=True) for name, message in of_type.items()} for each, of_type in messages.items()}, {
        **translation.reports
    }
