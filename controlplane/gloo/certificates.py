"""When the certificates of the TLS Secrets end, as metrics: read from what gloo watches anyway, at each scrape."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping

from cryptography import x509
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controlplane import metrics
from controlplane.kube.objects import Key, Object

FILES = ("tls.crt", "ca.crt")


class CertificateExpiry(Collector):
    """`secrets` yields the TLS Secrets as they are now. What is no certificate is left out: the objects that name it say so in their status."""

    def __init__(self, secrets: Callable[[], Mapping[Key, Object]], *, registry: CollectorRegistry = metrics.REGISTRY) -> None:
        self._secrets = secrets
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(metrics.CERTIFICATE_EXPIRY, metrics.CERTIFICATE_EXPIRY_TEXT, labels=("namespace", "secret", "file"))
        for (namespace, name), secret in self._secrets().items():
            for file in FILES:
                if (end := first_end(secret, file)) is not None:
                    family.add_metric((namespace, name, file), end)
        return [family]


def first_end(secret: Object, file: str) -> float | None:
    """Unix time at which the first certificate of a file ends."""
    return min(_ends((secret.get("data") or {}).get(file, "")), default=None)


def _ends(encoded: str) -> Iterator[float]:
    try:
        certificates = x509.load_pem_x509_certificates(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        return
    for certificate in certificates:
        yield certificate.not_valid_after_utc.timestamp()
