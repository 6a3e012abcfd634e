"""The small parts of a process: addresses and their realisation, health, logs, the work queue, the command line."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx2 as httpx
import pytest
from support_api import eventually, running

from controlplane.__main__ import main, parser
from controlplane.health import HealthServer
from controlplane.kube.client import config_from_text
from controlplane.kube.errors import BadKubeconfig, Unreachable
from controlplane.kube.workqueue import WorkQueue
from controlplane.log import JsonFormatter, redact
from controlplane.net import realiser, require_loopback, split_address

pytestmark = pytest.mark.unit


def test_an_address_of_the_cluster_is_realised_and_any_other_left_alone():
    realise = realiser("10.64.0.0/10=127.64.0.0/10")
    assert realise("10.77.192.1") == "127.77.192.1", "the network's bits change, the rest stays"
    assert realise("10.127.255.255") == "127.127.255.255", "up to the last address of the network"
    assert realise("10.128.0.1") == "10.128.0.1", "outside of it nothing changes"
    assert realise("lb.example") == "lb.example", "a name is no address"
    assert realiser(None)("10.77.0.1") == "10.77.0.1", "without a rule nothing is realised"


@pytest.mark.parametrize("rule", ["10.64.0.0/10", "10.64.0.0/10=127.0.0.0/8", "a=b", "10.64.0.1/10=127.64.0.0/10"])
def test_a_bad_rule_is_refused_with_its_text(rule: str):
    with pytest.raises(ValueError, match=r"--realise") as error:
        realiser(rule)
    assert rule in str(error.value), "the message shows what was given"


@pytest.mark.parametrize("address", ["9977", "host:", ":1", "host:70000", "host:port"])
def test_a_bad_address_is_refused(address: str):
    with pytest.raises(ValueError, match="host:port"):
        split_address(address)


def test_a_v6_address_is_split():
    assert split_address("[::1]:9977") == ("::1", 9977)


@pytest.mark.parametrize("address", ["0.0.0.0:9980", "10.0.0.1:9980", "[::]:9980", "example.org:9980"])
def test_the_console_is_kept_from_the_network(address: str, capsys: pytest.CaptureFixture[str]):
    assert main(["gloo-fed", "--console-address", address]) == 2, "before anything is asked or served"
    assert f"'{address}' is not on loopback, and the console has no login" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:9980", "127.77.0.10:9980", "[::1]:9980", "localhost:0"])
def test_the_console_may_be_anywhere_on_loopback(address: str):
    require_loopback(address)


async def test_health_says_what_is_missing_until_nothing_is():
    missing = ["gateways from the API server"]
    server = HealthServer(address="127.0.0.1:0", waiting_for=lambda: missing)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
            assert (await http.get("/healthz")).status_code == 200, "the process lives"
            waiting = await http.get("/readyz")
            assert (waiting.status_code, waiting.text) == (503, "waiting for gateways from the API server\n")
            missing.clear()
            assert (await http.get("/readyz")).status_code == 200, "nothing is missing"
            assert (await http.get("/secrets")).status_code == 404, "nothing else is served"
            assert (await http.post("/healthz")).status_code == 405, "and only read"
    finally:
        await server.stop()


def test_logs_hold_no_secret_whoever_writes_one():
    pem = "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----"
    record = logging.LogRecord("controlplane.kube", logging.INFO, "f", 1, "got %s", (pem,), None)
    record.header = "Authorization: Bearer abcdefghijkl"
    line = JsonFormatter().format(record)
    assert "MIIabc" not in line, "a key in the message"
    assert "abcdefghijkl" not in line, "a token in a field"
    assert json.loads(line)["message"] == "got [PEM removed]", "the rest stays readable"
    assert json.loads(line)["logger"] == "kube", "the logger is named without the package"


def test_tokens_and_encoded_keys_are_redacted():
    assert redact("x eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln y") == "x [token removed] y"
    assert redact("key: LS0tLS1CRUdJTiBDRVJU==") == "key: [PEM removed]"


def test_a_kubeconfig_that_cannot_be_used_is_refused_without_being_quoted():
    for text in ("{", "[]", "clusters: []", "token: very-secret-token"):
        with pytest.raises(BadKubeconfig) as error:
            config_from_text(text)
        assert "very-secret-token" not in str(error.value), "an error text ends up in a status"


async def test_a_key_is_handled_once_however_often_it_is_added():
    handled: list[str] = []

    async def handle(key: str) -> None:
        handled.append(key)

    queue = WorkQueue(handle)
    for _ in range(5):
        queue.add("a")
    async with running(queue.run()):
        await eventually(lambda: queue.idle, "the queue is empty")
    assert handled == ["a"]


async def test_a_key_is_never_handled_twice_at_once_and_a_change_meanwhile_is_not_lost():
    busy = most = 0
    runs: list[str] = []

    async def handle(key: str) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        runs.append(key)
        if len(runs) == 1:
            queue.add(key)
        await asyncio.sleep(0.02)
        busy -= 1

    queue = WorkQueue(handle)
    queue.add("a")
    async with running(queue.run()):
        await eventually(lambda: queue.idle, "the queue is empty")
    assert (runs, most) == (["a", "a"], 1)


async def test_a_failure_is_retried_and_does_not_hold_up_other_keys():
    tries: list[str] = []

    async def handle(key: str) -> None:
        tries.append(key)
        if key == "bad" and tries.count("bad") < 3:
            raise Unreachable("down")
        if key == "defect" and tries.count("defect") < 2:
            raise ZeroDivisionError

    queue = WorkQueue(handle)
    for key in ("bad", "defect", "good"):
        queue.add(key)
    async with running(queue.run()):
        await eventually(lambda: queue.idle, "all succeed in the end")
    assert (tries.count("bad"), tries.count("defect"), tries.count("good")) == (3, 2, 1)


def test_without_certificates_gloo_does_not_start(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    for name in ("XDS_TLS_CRT", "XDS_TLS_KEY", "XDS_TLS_CA"):
        monkeypatch.delenv(name, raising=False)
    assert main(["gloo", "--xds-address", "127.0.0.1:0"]) == 2
    assert "XDS_TLS_CRT" in capsys.readouterr().err, "the message says what is missing"


def test_an_unknown_option_is_refused():
    with pytest.raises(SystemExit):
        parser().parse_args(["gloo", "--xds-address", "a:1", "--watch", "x"])
