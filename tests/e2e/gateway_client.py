"""A client of the failover gateway: what a gateway proxy of another cluster does when it connects, once, with a certificate of the test's choice."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from tests.e2e.conftest import LiveStack

GREEN = "default-service-green-10000_gloo-system"
SERVER_NAME = "failover-gateway.remote"


class Refused(Exception):
    """The gateway gave no connection to green."""


def ask_green(stack: LiveStack, *, sni: str = GREEN, certificate: Path | None, trusted: str = "") -> str:
    """Send GET / through the failover gateway over a new connection, and return the status line. Raises Refused when there is no answer.

    `certificate` is a file with a certificate and its key. With `trusted`, certificates of authorities in PEM, the gateway has to have a certificate
    of one of them, for its name.
    """
    service = stack.get("remote", "service", "-n", "gloo-system", "failover")
    address = service["status"]["loadBalancer"]["ingress"][0]["ip"]
    context = ssl.create_default_context(cadata=trusted or None)
    context.check_hostname = False  # the name that is asked for is that of an Upstream, not the server's
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate)
    realised = "127." + address.split(".", 1)[1]
    try:
        with socket.create_connection((realised, 15443), timeout=5) as plain, context.wrap_socket(plain, server_hostname=sni) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: green\r\nConnection: close\r\n\r\n")
            answer = tls.recv(4096)
            names = tls.getpeercert() or {}
    except OSError as error:
        raise Refused(repr(error)) from error
    if not answer:
        raise Refused("closed without a byte")
    if trusted and ("DNS", SERVER_NAME) not in names["subjectAltName"]:
        raise Refused(f"the gateway is {names['subjectAltName']}")
    return answer.split(b"\r\n", 1)[0].decode()
