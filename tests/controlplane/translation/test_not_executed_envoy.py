"""The mark of answers to requests that were not executed, on a real Envoy with an application that counts what it executes.

Every request is a POST with a body. All traffic is on loopback.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import on_loopback, pod, running
from google.protobuf.json_format import MessageToDict

from controlplane.translation.not_executed import HEADER, VALUE, upstream_filters

pytestmark = pytest.mark.envoy

APP, BACKEND, GATEWAY = ((on_loopback(pod(number)), 10000) for number in (52, 53, 54))
_TYPES = "type.googleapis.com/envoy.extensions"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class _App(ThreadingHTTPServer):
    """Counts what it executes; answers with the status that the path says, or breaks the connection."""

    executed = 0

    class RequestHandlerClass(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            assert isinstance(self.server, _App)
            self.server.executed += 1
            if self.path == "/break":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.send_response(int(self.path[1:]))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    def __init__(self) -> None:
        super().__init__(APP, self.RequestHandlerClass)


@contextmanager
def application() -> Iterator[_App]:
    with _App() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def bootstrap(folder: Path, address: tuple[str, int], to: tuple[str, int], *, filters: list[Any], upstream: list[Any], http2: bool = False) -> Path:
    """An Envoy at `address` that sends everything to `to`."""
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "to"}}]}]},
        "http_filters": [*filters, router],
    }
    options: dict[str, Any] = {"explicit_http_config": {"http2_protocol_options" if http2 else "http_protocol_options": {}}}
    if upstream:
        options["http_filters"] = upstream
    endpoint = {"endpoint": {"address": {"socket_address": {"address": to[0], "port_value": to[1]}}}}
    cluster = {
        "name": "to",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "to", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {_HTTP_OPTIONS: {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}", **options}},
    }
    listener = {
        "address": {"socket_address": {"address": address[0], "port_value": address[1]}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    admin = {"address": {"socket_address": {"address": address[0], "port_value": 19000}}}
    folder.mkdir()
    path = folder / "bootstrap.json"
    path.write_text(json.dumps({"admin": admin, "static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    return path


def post(path: str) -> tuple[int, str]:
    """Status and mark of one request through the gateway."""
    connection = http.client.HTTPConnection(*GATEWAY, timeout=10)
    try:
        connection.request("POST", path, body=b"x" * 2000)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers[HEADER]
    finally:
        connection.close()


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("matched", [False, True], ids=["every-request-is-a-check", "only-health-is-a-check"])
def test_only_what_was_not_executed_is_marked(tmp_path: Path, matched: bool, http2: bool) -> None:
    check: dict[str, Any] = {"@type": f"{_TYPES}.filters.http.health_check.v3.HealthCheck", "pass_through_mode": True}
    if matched:
        check["headers"] = [{"name": ":path", "string_match": {"exact": "/health"}}]
    health = [{"name": "envoy.filters.http.health_check", "typed_config": check}]
    marks = [MessageToDict(item, preserving_proto_field_name=True) for item in upstream_filters()]
    with ExitStack() as stack:
        app = stack.enter_context(application())
        backend_path = bootstrap(tmp_path / "backend", BACKEND, APP, filters=health, upstream=[])
        backend = stack.enter_context(running(backend_path, admin=(BACKEND[0], 19000)))
        stack.enter_context(
            running(bootstrap(tmp_path / "gateway", GATEWAY, BACKEND, filters=[], upstream=marks, http2=http2), admin=(GATEWAY[0], 19000))
        )
        for path in ("/200", "/503", "/break"):
            assert post(path)[1] != VALUE, f"{path} of a healthy backend was executed"
        assert app.executed == 3, "each of them"

        backend.ask("POST", "/healthcheck/fail")
        for path in ("/200", "/503", "/break"):
            before = app.executed
            _, mark = post(path)
            assert (mark == VALUE) == (app.executed == before), f"{path}: marked exactly when the application did not see it; it is {mark}"
        assert app.executed == (6 if matched else 3), "a backend that checks every request passes none on when it is to fail"
