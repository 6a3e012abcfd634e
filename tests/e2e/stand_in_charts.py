"""A Helm repository on this machine, with charts called gloo-ee and gloo-fed that hold the open control plane.

They are not Gloo Enterprise. They stand in for its charts so that releases are really installed: by Helm, with the program's values, on clusters that
have API servers. What they take from the values is what a test looks at: the licence key, and the port of the proxy.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from service_failover import names
from service_failover.addressing import EMBEDDED
from service_failover.enterprise import charts
from service_failover.gloo import CLIENT_SECRET, SERVER_SECRET, Gloo
from service_failover.gloo_fed import GlooFed
from tests.components.program_recorder import Recorder
from tests.controlplane.support_certs import Authority

PORT = 8080
LICENSE_SECRET = "license"
LICENSE_TEMPLATE = f"""
apiVersion: v1
kind: Secret
metadata:
  name: {LICENSE_SECRET}
stringData:
  license-key: {{{{ required "license_key" .Values.license_key | quote }}}}
---
"""
"""As Gloo Enterprise documents it: a Secret that holds the key."""
MANIFESTS_TEMPLATE = """{{ .Files.Get "manifests.yaml" }}"""


@contextmanager
def chart_repository(folder: Path) -> Iterator[str]:
    """The URL of the repository, which is there while the block lasts."""
    gloo = _objects(lambda: Gloo("gloo", {"addressing": EMBEDDED, "proxy_port": PORT, "create_namespace": False}))
    fed = _objects(lambda: GlooFed("fed", {"addressing": EMBEDDED, "create_namespace": False}))
    folder.mkdir()
    entries = {
        chart.name: [_package(folder, chart.name, version=charts.VERSION, objects=objects)]
        for chart, objects in ((charts.GLOO, _with_certificates(gloo)), (charts.FEDERATION, fed))
    }
    (folder / "index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": entries}))
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def _objects(build: Callable[[], object]) -> list[dict[str, Any]]:
    """The Kubernetes objects that a component makes."""
    return [resource.inputs for resource in Recorder().run(lambda: build() and None).kubernetes()]


def _with_certificates(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With certificates that are some: a recorded program has none."""
    authority = Authority()
    identities = {
        SERVER_SECRET: names.xds_server_identity(names.GLOO_NAMESPACE),
        CLIENT_SECRET: names.xds_client_identity(names.GLOO_NAMESPACE),
    }
    for each in objects:
        if each["kind"] == "Secret" and each["metadata"]["name"] in identities:
            pair = authority.issue(identities[each["metadata"]["name"]])
            each["stringData"] = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pem}
    return objects


def _package(folder: Path, name: str, *, version: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a chart, and return its entry for the index. Its definitions are where Helm installs them before anything else."""
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    metadata = {"apiVersion": "v2", "name": name, "version": version, "type": "application"}
    files = {
        "Chart.yaml": yaml.safe_dump(metadata),
        "values.yaml": "",
        "crds/definitions.yaml": _documents(definitions),
        "manifests.yaml": _documents([each for each in objects if each not in definitions]),
        "templates/all.yaml": LICENSE_TEMPLATE + MANIFESTS_TEMPLATE,
    }
    archive = folder / f"{name}-{version}.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return {**metadata, "urls": [archive.name], "digest": hashlib.sha256(archive.read_bytes()).hexdigest(), "created": "2026-01-01T00:00:00Z"}


def _documents(objects: list[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(each) for each in objects)
