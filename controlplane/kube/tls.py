"""TLS towards an API server, as its kubeconfig says.

What is in the kubeconfig stays in memory. lightkube would write it to temporary files; but a key must not be left on a disk, and a container's file
system is read-only.
"""

from __future__ import annotations

import base64
import ssl
from contextlib import ExitStack

import httpx2 as httpx
from lightkube.config.kubeconfig import SingleConfig

from controlplane.peer_tls import file_in_memory


def server_context(config: SingleConfig) -> ssl.SSLContext:
    """Verifies the server as `config` says, and presents its client certificate if it has one.

    Raises OSError, ValueError or lightkube's ConfigError when a document or a file cannot be used.
    """
    cluster = config.cluster
    if cluster.certificate_auth:
        context = ssl.create_default_context(cafile=config.abs_file(cluster.certificate_auth))
    elif cluster.certificate_auth_data:
        context = ssl.create_default_context(cadata=base64.b64decode(cluster.certificate_auth_data).decode())
    else:
        context = httpx.create_ssl_context(verify=not cluster.insecure, trust_env=False)
    _present_certificate(context, config)
    return context


def _present_certificate(context: ssl.SSLContext, config: SingleConfig) -> None:
    user = config.user
    if user is None or not (user.client_cert or user.client_cert_data):
        return
    with ExitStack() as stack:
        certificate, key = (
            stack.enter_context(file_in_memory(base64.b64decode(data))) if data else config.abs_file(file or "")
            for data, file in ((user.client_cert_data, user.client_cert), (user.client_key_data, user.client_key))
        )
        context.load_cert_chain(certificate, key)
