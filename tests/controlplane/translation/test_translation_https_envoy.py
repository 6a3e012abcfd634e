"""HTTPS and TCP in a real Envoy: who gets in, by which certificate, and where connections end up.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import on_loopback
from http_backend import serving
from lone_proxy import HTTP, HTTPS, ONE, PORT, TCP, TWO, at, proxy, says, secured
from translation_support import AUTHORITY, CLIENT, NAMESPACE, failover_gateway, http_gateway, virtual_service

pytestmark = pytest.mark.envoy


def over_tls(server_name: str, *, host: str, folder: Path, certified: bool, alpn: tuple[str, ...] = ("http/1.1",)) -> tuple[str, str]:
    """The answer's last line, or what went wrong, and the subject of the certificate that was shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=AUTHORITY.pem)
    context.set_alpn_protocols(list(alpn))
    if certified:
        pair = AUTHORITY.issue(CLIENT)
        path = folder / "client.pem"
        path.write_text(pair.certificate + pair.key)
        path.chmod(0o600)
        context.load_cert_chain(path)
    try:
        with socket.create_connection(HTTPS, timeout=5) as plain, context.wrap_socket(plain, server_hostname=server_name) as connection:
            certificate: Any = connection.getpeercert()
            names = [value for kind, value in certificate["subjectAltName"] if kind == "DNS"]
            if "h2" in alpn:
                return str(connection.selected_alpn_protocol()), ",".join(names)
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while part := connection.recv(4096):
                answer += part
            return answer.decode().rpartition("\r\n\r\n")[2] or answer.decode().split(" ")[1], ",".join(names)
    except (ssl.SSLError, ConnectionError) as error:
        return type(error).__name__, ""


def test_https_shows_the_certificate_of_the_server_name_and_serves_its_hosts(tmp_path: Path) -> None:
    one = secured("one", ("one.example.com",), secretRef={"name": "one"}, sniDomains=["one.example.com"], oneWayTls=True)
    two = secured("two", ("two.example.com",), secretRef={"name": "two"}, sniDomains=["*.two.example.com", "two.example.com"])
    plain = virtual_service(says("plain"))
    with proxy(tmp_path, http_gateway(), http_gateway("https", bindPort=8443, ssl=True), one, two, plain):
        assert over_tls("one.example.com", host="one.example.com", folder=tmp_path, certified=False) == ("one", "one.example.com"), "one way"
        assert over_tls("ONE.example.com", host="one.example.com", folder=tmp_path, certified=False)[0] == "one", "in any case"
        assert over_tls("a.two.example.com", host="two.example.com", folder=tmp_path, certified=True) == ("two", "two.example.com"), "both ways"
        refused, _ = over_tls("two.example.com", host="two.example.com", folder=tmp_path, certified=False)
        assert refused not in ("two", "200"), "without a certificate nobody gets in where there is a CA to verify it"
        assert over_tls("one.example.com", host="two.example.com", folder=tmp_path, certified=False)[0] == "404", "not by the door of another"
        assert over_tls("other.example.com", host="one.example.com", folder=tmp_path, certified=True)[0] not in ("one", "200"), "no such name"
        assert over_tls("one.example.com", host="", folder=tmp_path, certified=False, alpn=("h2", "http/1.1"))[0] == "h2", "HTTP/2 is offered"
        connection = http.client.HTTPConnection(*HTTP, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"plain", "what asks for no TLS is served without"


def test_tcp_connections_are_shared_by_weight_after_the_proxy_protocol(tmp_path: Path) -> None:
    shares = [{"destination": {"upstream": {"name": name, "namespace": NAMESPACE}}, "weight": weight} for name, weight in (("one", 1), ("two", 1))]
    hosts = [{"name": "plain", "destination": {"multi": {"destinations": shares}}}]
    gateway = failover_gateway(
        bindPort=TCP[1], useProxyProto=True, tcpGateway={"tcpHosts": hosts, "options": {"tcpProxySettings": {"maxConnectAttempts": 2}}}
    )

    def once() -> str:
        with socket.create_connection(TCP, timeout=5) as connection:
            connection.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := connection.recv(4096):
                answer += part
            return answer.decode().rpartition("\r\n\r\n")[2]

    with ExitStack() as stack:
        for name, address in (("one", ONE), ("two", TWO)):
            stack.enter_context(serving(name, (on_loopback(address), PORT)))
        stack.enter_context(proxy(tmp_path, at("one", ONE), at("two", TWO), gateway))
        found = Counter(once() for _ in range(100))
        assert set(found) == {"one", "two"}, "both serve, and the line of the protocol is not passed on"
        assert min(found.values()) > 15, "about half each"
