"""Routes, delegation and shares in a real Envoy: it takes big examples, and does what the words in the models say.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

import http.client
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from envoy_on_disk import on_loopback, validate, write_bootstrap
from http_backend import serving
from lone_proxy import ADMIN, HTTP, ONE, PORT, TWO, at, proxy, says, secured, to, translation
from translation_support import (
    blue,
    delegating,
    failover_gateway,
    http_gateway,
    route_table,
    tcp_host,
    virtual_service,
)

from gloo_api.header_format import COMMANDS
from gloo_api.retries import CONDITIONS
from gloo_api.routes import RedirectResponseCode

pytestmark = pytest.mark.envoy

REGEX = {"pattern": {"regex": "^/old/(.*)$"}, "substitution": r"/new/\1"}


def ask(method: str, path: str, *, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*HTTP, timeout=10)
    connection.request(method, path, headers=headers or {})
    return connection.getresponse()


def said(method: str, path: str, **headers: str) -> str:
    response = ask(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return response.read().decode() if response.status == 200 else str(response.status)


def test_requests_are_matched_as_the_fields_say(tmp_path: Path) -> None:
    service = virtual_service(
        says("exact", {"exact": "/e"}),
        says("regex", {"regex": "/r[0-9]+"}),
        says("any case", {"prefix": "/AnyCase", "caseSensitive": False}),
        says("header", {"prefix": "/h", "headers": [{"name": "x-a", "value": "1"}]}),
        says("not header", {"prefix": "/h", "headers": [{"name": "x-b", "value": "1", "invertMatch": True}]}),
        says("header regex", {"prefix": "/h", "headers": [{"name": "x-a", "value": "[a-z]+", "regex": True}]}),
        says("header there", {"prefix": "/t", "headers": [{"name": "x-a"}]}),
        says("header not there", {"prefix": "/t", "headers": [{"name": "x-a", "invertMatch": True}]}),
        says("query", {"prefix": "/q", "queryParameters": [{"name": "q", "value": "1"}, {"name": "there"}]}),
        says("query regex", {"prefix": "/q", "queryParameters": [{"name": "q", "value": "[a-z]", "regex": True}]}),
        says("post", {"prefix": "/m", "methods": ["POST"]}),
        says("put or delete", {"prefix": "/m", "methods": ["PUT", "DELETE"]}),
        says("large regex", {"regex": "/l/[a-z0-9-]{1,63}"}),
    )
    with proxy(tmp_path, http_gateway(), service):
        expected = {
            ("GET", "/e"): "exact",
            ("GET", "/e/x"): "404",
            ("GET", "/r12?x=1"): "regex",
            ("GET", "/r12/x"): "404",
            ("GET", "/anycase/x"): "any case",
            ("GET", "/t"): "header not there",
            ("GET", "/q?q=1&there"): "query",
            ("GET", "/q?q=1"): "404",
            ("GET", "/q?q=z"): "query regex",
            ("GET", "/m"): "404",
            ("POST", "/m"): "post",
            ("DELETE", "/m"): "put or delete",
            ("GET", "/l/" + "a" * 63): "large regex",
            ("GET", "/l/" + "a" * 64): "404",
        }
        assert {each: said(*each) for each in expected} == expected, "path, query and method"
        assert said("GET", "/h", x_a="1") == "header", "the value"
        assert said("GET", "/h", x_a="abc", x_b="1") == "header regex", "the whole value"
        assert said("GET", "/h", x_b="1") == "404", "inverted: not with that value"
        assert said("GET", "/h", x_b="2") == "not header", "inverted: with another one"
        assert said("GET", "/h") == "not header", "inverted: and without the header, as Gloo describes it"
        assert said("GET", "/t", x_a="") == "header there", "even empty"


def test_requests_are_changed_on_their_way(tmp_path: Path) -> None:
    headers = {
        "requestHeadersToAdd": [
            {"header": {"key": "x-path", "value": "%REQ(:path)% %%"}},
            {"header": {"key": "x-own", "value": "b"}, "append": False},
        ],
        "requestHeadersToRemove": ["x-gone"],
        "responseHeadersToAdd": [{"header": {"key": "x-answer", "value": "%RESPONSE_CODE%"}}],
        "responseHeadersToRemove": ["content-type"],
    }
    service = virtual_service(
        to("one", matchers=[{"prefix": "/old"}], options={"regexRewrite": REGEX, "hostRewrite": "host.example.com", "appendXForwardedHost": True}),
        to("one", matchers=[{"prefix": "/prefix/"}], options={"prefixRewrite": "/", "hostRewriteHeader": "x-host"}),
        to("one", options={"headerManipulation": headers}),
        options={
            "headerManipulation": {"requestHeadersToAdd": [{"header": {"key": "x-host-wide", "value": "1"}}]},
            "includeRequestAttemptCount": True,
        },
    )
    with serving("one", (on_loopback(ONE), PORT)) as backend, proxy(tmp_path, at("one", ONE), http_gateway(), service):
        assert said("GET", "/old/a?q=1") == "one", "it arrives"
        assert backend.asked[-1].path == "/new/a?q=1", "the path is rewritten, the query kept"
        assert backend.asked[-1].headers["host"] == "host.example.com", "so is the host"
        assert backend.asked[-1].headers["x-forwarded-host"].startswith(HTTP[0]), "and the client's own passed on"
        assert said("GET", "/prefix/x", x_host="other.example.com") == "one", "it arrives"
        assert (backend.asked[-1].path, backend.asked[-1].headers["host"]) == ("/x", "other.example.com"), "prefix, and host from a header"
        response = ask("GET", "/z", headers={"x-own": "a", "x-gone": "1"})
        seen = backend.asked[-1].headers
        assert (seen["x-path"], seen["x-own"], seen.get("x-gone")) == ("/z %", "b", None), "added, replaced, removed"
        assert (seen["x-host-wide"], seen["x-envoy-attempt-count"]) == ("1", "1"), "and what the whole host asks for"
        assert response.headers["x-answer"] == "200", "on the answer too"


def test_the_gateway_answers_by_itself(tmp_path: Path) -> None:
    service = virtual_service(
        {"matchers": [{"prefix": "/moved"}], "redirectAction": {"hostRedirect": "b.example.com", "httpsRedirect": True, "responseCode": "FOUND"}},
        {"matchers": [{"prefix": "/old"}], "redirectAction": {"regexRewrite": REGEX, "stripQuery": True}},
        {"matchers": [{"prefix": "/"}], "directResponseAction": {"status": 418, "body": "teapot"}},
    )
    with proxy(tmp_path, http_gateway(), service):
        moved, old, rest = ask("GET", "/moved?q=1"), ask("GET", "/old/a?q=1"), ask("GET", "/")
        assert (moved.status, moved.headers["location"]) == (302, "https://b.example.com/moved?q=1"), "elsewhere"
        assert (old.status, old.headers["location"]) == (301, f"http://{HTTP[0]}:{HTTP[1]}/new/a"), "to another path"
        assert (rest.status, rest.read()) == (418, b"teapot"), "at once"


def test_requests_are_shared_by_weight(tmp_path: Path) -> None:
    shares = [{"destination": {"upstream": {"name": name}}, "weight": weight} for name, weight in (("one", 3), ("two", 1), ("missing", 1))]
    service = virtual_service({"routeAction": {"multi": {"destinations": shares}}})
    with ExitStack() as stack:
        for name, address in (("one", ONE), ("two", TWO)):
            stack.enter_context(serving(name, (on_loopback(address), PORT)))
        stack.enter_context(proxy(tmp_path, at("one", ONE), at("two", TWO), http_gateway(), service))
        found = Counter(said("GET", "/") for _ in range(500))
        assert set(found) == {"one", "two", "503"}, "every share is served, the missing one by nobody"
        assert 240 < found["one"] < 360, "three fifths of 500, within six standard deviations"
        assert 46 < found["two"] < 154, "one fifth"
        assert 46 < found["503"] < 154, "one fifth is not given to the others"


def test_delegated_requests_stay_where_they_were_handed_to(tmp_path: Path) -> None:
    service = virtual_service(
        {**delegating(prefix="/a"), "options": {"prefixRewrite": "/inherited"}}, delegating(prefix="/gone", ref={"name": "gone"}), says("rest")
    )
    table = route_table(
        "a",
        says("regex", {"regex": "/a/[0-9]+|/secret"}),
        to("one", matchers=[{"prefix": "/a/one"}]),
        to("one", matchers=[{"prefix": "/a/own"}], options={"prefixRewrite": "/own"}),
        {"matchers": [{"prefix": "/a/b"}], "delegateAction": {"ref": {"name": "b"}}},
    )
    inner = route_table("b", says("inner", {"exact": "/a/b/c"}))
    with serving("one", (on_loopback(ONE), PORT)) as backend, proxy(tmp_path, at("one", ONE), http_gateway(), service, table, inner):
        assert said("GET", "/a/12") == "regex", "in the prefix"
        assert said("GET", "/secret") == "rest", "a regular expression does not get out of it"
        assert said("GET", "/a/b/c") == "inner", "two levels down"
        assert said("GET", "/a/zzz") == "rest", "what no table has goes on in the user's order"
        assert said("GET", "/gone/x") == "503", "what a missing table should have does not"
        assert (said("GET", "/a/one"), backend.asked[-1].path) == ("one", "/inherited"), "an option comes from the parent"
        assert (said("GET", "/a/own"), backend.asked[-1].path) == ("one", "/own"), "unless the route has its own"


def test_envoy_accepts_everything_that_the_models_accept(tmp_path: Path) -> None:
    every_header = [{"header": {"key": f"x-{index}", "value": f"%{command}%"}} for index, command in enumerate(sorted(COMMANDS))]
    manipulation = {"requestHeadersToAdd": every_header, "responseHeadersToAdd": every_header, "requestHeadersToRemove": ["x-a"]}
    retries = {
        "retryOn": ",".join(sorted(CONDITIONS)), "numRetries": 2**32 - 1, "perTryTimeout": "315360000s", "retriableStatusCodes": [100, 599],
        "retryBackOff": {"baseInterval": "315360000s", "maxInterval": "315360000s"}, "previousPriorities": {"updateFrequency": 2**32 - 1},
    }  # fmt: skip
    options = {
        "timeout": "315360000s", "idleTimeout": "315360000s", "retries": retries, "headerManipulation": manipulation,
        "regexRewrite": REGEX, "hostRewritePathRegex": REGEX, "appendXForwardedHost": True,
    }  # fmt: skip
    shares = [{"destination": {"upstream": {"name": "one"}}, "weight": 2**32 - 2}, {"destination": {"upstream": {"name": "gone"}}, "weight": 1}]
    shares[0]["options"] = {"headerManipulation": manipulation}
    service = virtual_service(
        *[
            {"matchers": [{"prefix": f"/{code}"}], "redirectAction": {"responseCode": code.value, "prefixRewrite": "/x"}}
            for code in RedirectResponseCode
        ],
        {"matchers": [{"exact": "/body"}], "directResponseAction": {"status": 599, "body": "x" * 4096}},
        {"matchers": [{"prefix": "/m"}], "routeAction": {"multi": {"destinations": shares}}, "options": options},
        *[to("one", matchers=[{"prefix": f"/{index}"}], options={"timeout": f"{index}s"}) for index in range(50)],
        to(blue().metadata.name, matchers=[{"regex": "/(a|b)[a-z0-9-]{1,63}", "methods": ["GET", "POST", "PATCH", "X-OWN"]}]),
        domains=["*", "a.example.com:8080", "*.b.example.com", "c.*"],
        options={"headerManipulation": manipulation, "retries": retries},
    )
    tls = {
        "secretRef": {"name": "one"}, "sniDomains": ["*.example.com", "example.com"], "alpnProtocols": ["h2"], "oneWayTls": True,
        "parameters": {"minimumProtocolVersion": "TLSv1_2", "maximumProtocolVersion": "TLSv1_3", "cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256"]},
    }  # fmt: skip
    both = translation(
        at("one", ONE), blue(), http_gateway(useProxyProto=True, options={"perConnectionBufferLimitBytes": 4096}),
        http_gateway("https", bindPort=8443, ssl=True), failover_gateway(tcp_host(verifySubjectAltName=[])), service,
        secured("secured", ("*",), **tls), secured("any", ("*",), secretRef={"name": "two"}, parameters={"ecdhCurves": ["X25519", "P-256"]}),
    )  # fmt: skip
    said = validate(write_bootstrap(both, tmp_path, admin=ADMIN))
    assert said.returncode == 0, f"a proxy that refuses its configuration keeps the old one: {said.stderr}"
    assert "deprecated" not in said.stderr.lower(), f"what is deprecated today is refused tomorrow: {said.stderr}"
