"""The bootstraps, in a real Envoy: it accepts both, the app fails and heals as the guide says, and the gateway's admin port only tells."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import toolchain
from service_failover import envoy
from service_failover.addressing import CONTAINERS, EMBEDDED, Addressing
from service_failover.apps import HealthFilter
from service_failover.bluegreen_app import echo_arguments, echo_container, envoy_container

pytestmark = pytest.mark.envoy

ADDRESS = "127.0.77.1"
"""An address of this machine that nothing else listens on: the ports are the real ones."""
GATEWAY = "127.0.77.2"
"""The gateway's admin port is the app's, so it gets an address of its own."""
WELL_MADE = "127.0.77.3"
"""Where the app is that fails only its health check."""
DEADLINE = 30.0
"""Seconds in which an Envoy has to answer."""


def rendered(text: str) -> str:
    """An argument as the container gets it."""
    variables = {
        "POD_IP": ADDRESS,
        "POD_NAME": "gateway-proxy-0",
        "POD_NAMESPACE": "gloo-system",
        "GLOO_SERVICE_HOST": "127.0.77.9",
        "GLOO_SERVICE_PORT_GRPC_XDS": "9977",
    }
    for name, value in variables.items():
        text = text.replace(f"$({name})", value)
    assert "$(" not in text, "a variable that the container does not have"
    return text


@pytest.fixture(scope="module")
def certificate() -> dict[str, str]:
    """The variables with the keys for xDS. Any certificate will do: they are loaded, and nobody is talked to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    issued = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return {"XDS_TLS_CRT": issued, "XDS_TLS_KEY": private, "XDS_TLS_CA": issued}


@contextmanager
def running(command: list[str], *, log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """A process, ended afterwards; what it says is in `log`."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}) as process:
        try:
            yield
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], *, what: str, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen; the end of the log:\n{log.read_text()[-2000:]}")


def get(port: int, path: str = "/", *, address: str = ADDRESS, **options: Any) -> httpx.Response:
    return httpx.get(f"http://{address}:{port}{path}", timeout=5, **options)


def post(port: int, path: str, *, address: str = ADDRESS) -> httpx.Response:
    return httpx.post(f"http://{address}:{port}{path}", timeout=5)


def sample_app_bootstrap(addressing: Addressing, *, health_filter: HealthFilter = HealthFilter.PATH) -> envoy.Config:
    return envoy.sample_app_bootstrap(addressing, health_filter=health_filter)


@pytest.mark.parametrize("addressing", [EMBEDDED, CONTAINERS], ids=["embedded", "containers"])
@pytest.mark.parametrize("bootstrap", [envoy.gateway_proxy_bootstrap, partial(envoy.gateway_proxy_bootstrap, metrics=True), sample_app_bootstrap])
def test_envoy_accepts_the_bootstrap(bootstrap: Callable[[Addressing], envoy.Config], addressing: Addressing, certificate: dict[str, str]) -> None:
    text = rendered(yaml.safe_dump(bootstrap(addressing), sort_keys=False))
    command = [str(toolchain.find("envoy")), "--mode", "validate", "--config-yaml", text]
    done = subprocess.run(command, env={**os.environ, **certificate}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "deprecated" not in done.stderr.lower(), "today's Envoy still takes it, and a later one will not"


@pytest.mark.parametrize("addressing", [EMBEDDED, CONTAINERS], ids=["embedded", "containers"])
def test_the_gateway_proxy_asks_gloo_for_changes_and_not_for_everything(addressing: Addressing) -> None:
    ads = envoy.gateway_proxy_bootstrap(addressing)["dynamic_resources"]["ads_config"]
    assert ads["api_type"] == "DELTA_GRPC", "with state of the world a change costs everything, and one refused cluster holds up the rest"
    assert ads["set_node_on_first_message_only"] is True, "the node is long, and a request is sent for each response"


@contextmanager
def running_app(folder: Path, *, address: str, health_filter: HealthFilter) -> Iterator[None]:
    """Blue's two containers, with their own arguments."""
    containers = {
        "http-echo": echo_container(image="echo", arguments=echo_arguments("blue", EMBEDDED)),
        "envoy": envoy_container(image="envoy", bootstrap=envoy.as_argument(sample_app_bootstrap(EMBEDDED, health_filter=health_filter))),
    }
    with ExitStack() as stack:
        for tool, container in containers.items():
            command = [str(toolchain.find(tool)), *(rendered(argument).replace(ADDRESS, address) for argument in container["args"])]
            stack.enter_context(running(command, log=folder / tool))
        wait_for(lambda: get(10000, address=address).status_code == 200, what="an answer of the app", log=folder / "envoy")
        yield


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The guide's app."""
    with running_app(tmp_path_factory.mktemp("app"), address=ADDRESS, health_filter=HealthFilter.EVERYTHING):
        yield


@pytest.fixture
def healthy(app: None) -> Iterator[None]:
    post(19000, "/healthcheck/ok")
    yield
    post(19000, "/healthcheck/ok")


@pytest.mark.usefixtures("healthy")
def test_the_app_answers_with_its_color() -> None:
    assert get(10000).text == '"blue-pod"\n', "with the quotation marks, as the guide shows it"


@pytest.mark.usefixtures("healthy")
def test_a_failed_health_check_fails_every_request_and_ok_heals_it() -> None:
    assert post(19000, "/healthcheck/fail").status_code == 200
    failed = get(10000, "/health")
    assert failed.status_code == 503, "the health check of the primary sees it"
    assert failed.headers["x-envoy-immediate-health-check-fail"] == "true", "and so does the proxy, at once"
    assert get(10000).status_code == 503, "as in the guide: its filter matches every path"
    post(19000, "/healthcheck/ok")
    assert get(10000).text == '"blue-pod"\n'


@pytest.mark.usefixtures("healthy")
def test_a_failed_health_check_leaves_the_probes_content() -> None:
    post(19000, "/healthcheck/fail")
    assert get(5678, "/health").status_code == 200, "the probe of http-echo"
    for _ in range(3):  # a connection is all that the probe of Envoy asks for
        assert get(10000).status_code == 503
    assert get(19000, "/ready").status_code == 503, "why the probe is not Envoy's own /ready"


def test_an_app_with_a_filter_for_its_health_check_answers_while_it_is_unhealthy(tmp_path: Path) -> None:
    with running_app(tmp_path, address=WELL_MADE, health_filter=HealthFilter.PATH):
        post(19000, "/healthcheck/fail", address=WELL_MADE)
        assert get(10000, "/health", address=WELL_MADE).status_code == 503, "the health check of the primary sees it"
        answer = get(10000, address=WELL_MADE)
        assert (answer.status_code, answer.text) == (200, '"blue-pod"\n'), "nobody else notices"
        assert answer.headers["x-envoy-immediate-health-check-fail"] == "true", "but for the proxy, which goes elsewhere next time"


@pytest.mark.usefixtures("healthy")
def test_an_app_can_be_sick_and_say_that_all_is_well() -> None:
    assert post(19000, f"/runtime_modify?{envoy.SICK_RUNTIME}=100").status_code == 200
    try:
        assert get(10000).status_code == 503, "every answer is an error"
        well = get(10000, "/health")
        assert well.status_code == 200, "but to the health check, which sees nothing"
        assert "x-envoy-immediate-health-check-fail" not in well.headers, "nor is the proxy told"
    finally:
        post(19000, f"/runtime_modify?{envoy.SICK_RUNTIME}=0")
    assert get(10000).text == '"blue-pod"\n'


@pytest.mark.usefixtures("healthy")
def test_an_answer_can_be_asked_for_late() -> None:
    started = time.monotonic()
    assert get(10000, headers={"x-envoy-fault-delay-request": "300"}).status_code == 200
    assert time.monotonic() - started >= 0.3, "an app with work to do, whose requests are in flight when it fails"


@pytest.mark.usefixtures("healthy")
def test_an_answer_can_be_asked_for_slowly() -> None:
    started = time.monotonic()
    answer = get(10000, "/stream", headers={"x-envoy-fault-throughput-response": "2"})
    assert (answer.status_code, len(answer.content)) == (200, 3500)
    assert time.monotonic() - started >= 1, "it comes at 2 KiB a second: a stream, which can be cut in the middle"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, certificate: dict[str, str]) -> Iterator[Path]:
    """The gateway proxy, alone: there is no gloo at the address that it was given."""
    log = tmp_path_factory.mktemp("gateway") / "envoy"
    text = rendered(yaml.safe_dump(envoy.gateway_proxy_bootstrap(EMBEDDED), sort_keys=False)).replace(ADDRESS, GATEWAY)
    command = [str(toolchain.find("envoy")), "--config-yaml", text, "--disable-hot-restart", "--concurrency", "1"]
    with running(command, log=log, env=certificate):
        wait_for(lambda: admin("GET", "/server_info").status_code == 200, what="an answer of the admin port", log=log)
        yield log


def admin(method: str, path: str) -> httpx.Response:
    return httpx.request(method, f"http://{GATEWAY}:19000{path}", timeout=5)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("path", ["/clusters", "/clusters?format=json", "/stats", "/stats/prometheus", "/server_info", "/ready"])
def test_the_gateways_admin_port_tells_how_it_is(path: str) -> None:
    assert admin("GET", path).status_code != 403, "later commands and measurements read it"


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("path", ["/quitquitquit", "/healthcheck/ok", "/drain_listeners", "/config_dump", "/certs", "/logging", "/runtime_modify"])
def test_the_gateways_admin_port_changes_nothing_and_shows_no_configuration(path: str) -> None:
    for method in ("GET", "POST"):
        assert admin(method, path).status_code == 403, f"on an embedded cluster every user of the machine could {method} it"


def test_the_gateway_is_not_ready_before_it_has_asked_for_its_configuration(gateway: Path) -> None:
    try:
        httpx.get(f"http://{GATEWAY}:{envoy.READINESS_PORT}{envoy.READINESS_PATH}", timeout=5)
    except httpx.ConnectError:
        return  # as it should be: gloo is not there, and Envoy still waits for it
    assert "initial fetch timed out" in gateway.read_text(), "a proxy without routes would get traffic"


@pytest.mark.parametrize(("longest", "taken"), [(63, True), (1000, False)])
def test_the_gateway_takes_regular_expressions_as_large_as_gloo_lets_through(longest: int, taken: bool, certificate: dict[str, str]) -> None:
    """Envoy's own limit is below what a host name needs, and it would refuse all routes of the Gateway."""
    config = yaml.safe_load(rendered(yaml.safe_dump(envoy.gateway_proxy_bootstrap(EMBEDDED))))
    listener = next(each for each in config["static_resources"]["listeners"] if each["name"] == "readiness")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    match = {"safe_regex": {"regex": f"/[a-z0-9-]{{1,{longest}}}"}}
    manager["route_config"] = {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [{"match": match, "direct_response": {"status": 200}}]}]}
    command = [str(toolchain.find("envoy")), "--mode", "validate", "--config-yaml", yaml.safe_dump(config)]
    said = subprocess.run(command, env={**os.environ, **certificate}, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode == 0) is taken, said.stderr
