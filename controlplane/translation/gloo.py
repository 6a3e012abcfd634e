"""The translation of a whole cluster for one proxy, as a function: what a Translator must come to, however the inputs became what they are."""

from __future__ import annotations

from google.protobuf.message import Message

from controlplane.translation.translator import Translator, everything
from controlplane.translation.types import GlooInputs, ObjectRef, ProxyRef, Realise, Report, Translation


def translate(inputs: GlooInputs, *, proxy: ProxyRef, realise: Realise) -> Translation:
    """Everything `proxy` gets. Gateways count when they are in the proxy's namespace and name it; a bad object costs nobody but itself.

    A translation that raises is a defect, and raises here.
    """
    translator: Translator[Message] = Translator(inputs, realise=realise, pack=lambda _, message: message, on_defect=_fail)
    resources = translator.update(everything(inputs), proxies=[proxy])[proxy]
    reports: dict[ObjectRef, Report] = {ref: report for ref, report in translator.reports.take_changed().items() if report is not None}
    return Translation(
        clusters=_present(resources.clusters),
        endpoints=_present(resources.endpoints),
        listeners=_present(resources.listeners),
        routes=_present(resources.routes),
        secrets=_present(resources.secrets),
        reports=reports,
    )


def _present(resources: dict[str, Message | None]) -> dict[str, Message]:
    return {name: message for name, message in resources.items() if message is not None}


def _fail(ref: ObjectRef, error: Exception) -> None:
    raise error
