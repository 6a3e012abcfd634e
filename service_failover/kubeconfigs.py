"""One context of the user's kubeconfig files as a document that stands alone: no other context, no path of this machine in it.

As kubectl does: files are merged, the first that has a name wins, and paths in a file are relative to it. Nothing is written.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_FILES = {"certificate-authority": "certificate-authority-data", "client-certificate": "client-certificate-data", "client-key": "client-key-data"}

REALISE_EXTENSION = "servicefailover.dev/realise"
"""Name of the extension by which the kubeconfig of an embedded cluster says how its addresses are dialled; see `embedded.kubeconfig`."""

Document = dict[str, Any]


class UnusableKubeconfig(ValueError):
    """A kubeconfig that cannot be used. The message names file and context, and what there is; never a key."""


def kubeconfig_files(chosen: str, environment: Mapping[str, str]) -> list[Path]:
    """The files to read: `chosen`, else those in $KUBECONFIG, else ~/.kube/config."""
    named = [chosen] if chosen else [each for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each]
    return [Path(each).expanduser() for each in named or ["~/.kube/config"]]


def read_context(files: Sequence[Path], context: str) -> Document:
    """A kubeconfig with `context` as the only and current one. Raises UnusableKubeconfig."""
    documents = [(file, _read(file)) for file in files if file.exists()]
    if not documents:
        raise UnusableKubeconfig(f"there is no kubeconfig at {', '.join(map(str, files))}; set KUBECONFIG, or clusters[].kubeconfig in the config")
    _, chosen = _entry(documents, "contexts", context)
    details = dict(chosen["context"])
    cluster_file, cluster = _entry(documents, "clusters", str(details.get("cluster")))
    user_file, user = _entry(documents, "users", str(details.get("user")))
    if not (cluster.get("cluster") or {}).get("server"):
        raise UnusableKubeconfig(f"{cluster_file}: cluster {cluster['name']!r} of context {context!r} names no server")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster["name"], "cluster": _standalone(cluster["cluster"], cluster_file)}],
        "users": [{"name": user["name"], "user": _standalone(user.get("user") or {}, user_file)}],
        "contexts": [chosen],
        "current-context": context,
    }


def realise_of(document: Document) -> str | None:
    """How addresses of an embedded cluster become ones that can be dialled, `CIDR=CIDR`; None for any other cluster."""
    extensions = document["clusters"][0]["cluster"].get("extensions") or ()
    return next((str(each["extension"]["addresses"]) for each in extensions if each.get("name") == REALISE_EXTENSION), None)


def _read(file: Path) -> Document:
    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UnusableKubeconfig(f"{file} cannot be read as a kubeconfig: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise UnusableKubeconfig(f"{file} is no kubeconfig: it holds no mapping")
    return document


def _entry(documents: Sequence[tuple[Path, Document]], kind: str, name: str) -> tuple[Path, Document]:
    for file, document in documents:
        for entry in document.get(kind) or ():
            if entry.get("name") == name:
                return file, entry
    there = [str(entry.get("name")) for _, document in documents for entry in document.get(kind) or ()]
    where = ", ".join(str(file) for file, _ in documents)
    raise UnusableKubeconfig(f"{where}: there is no {kind.removesuffix('s')} {name!r}; there are: {', '.join(there) or 'none'}")


def _standalone(entry: Document, file: Path) -> Document:
    """`entry` with the contents of the files that it names, and absolute paths for what has to stay a file."""
    result = dict(entry)
    for key, data in _FILES.items():
        if path := result.pop(key, None):
            try:
                result[data] = base64.b64encode((file.parent / Path(path).expanduser()).read_bytes()).decode()
            except OSError as error:
                raise UnusableKubeconfig(f"{file}: {key} {path!r} cannot be read: {error.strerror}") from None
    if path := result.get("tokenFile"):
        result["tokenFile"] = str((file.parent / Path(path).expanduser()).absolute())
    return result
