"""`edition: enterprise` on clusters that exist, with Helm and Pulumi's engine, but with charts that hold the open control plane (`stand_in_charts`).

It shows that releases are installed in order, that what depends on them finds its definitions, that registration gives the rights that its
documentation names, and where the licence key is not. It shows nothing of Gloo Enterprise itself.
"""

from __future__ import annotations

import base64
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, LiveStack, until
from tests.e2e.outside import Outside, clusters_outside
from tests.e2e.stand_in_charts import LICENSE_SECRET, chart_repository

pytestmark = pytest.mark.e2e

LICENSE = "a-licence-key-that-nobody-may-see"
CONFIG = """config:
  pulumi:disable-default-providers:
    - kubernetes
  service-failover:edition: enterprise
  service-failover:glooRepository: {repository}
  service-failover:clusterKind: existing
  service-failover:clusters:
    - name: local
      context: embedded-home
      management: true
    - name: remote
      context: embedded-far
"""
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with clusters_outside(tmp_path / "clusters") as clusters:
        yield clusters


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    with chart_repository(tmp_path / "charts") as url:
        yield url


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """The command lines of this machine's processes while the block lasts, as often as they can be read."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def store_license(stack: LiveStack) -> None:
    """As a user does: the key comes from the standard input, not from the command line."""
    exports = stack.cli("env").stdout
    command = f"{exports}\nexec pulumi --non-interactive config set -s {stack.name} --secret service-failover:licenseKey"
    subprocess.run(["/bin/sh", "-c", command], cwd=PROJECT, env=stack.environment, input=LICENSE, text=True, check=True, timeout=120)


def answer(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the own http URL of the stack
        return str(response.read().decode().strip())


def without_definitions(objects: set[str]) -> set[str]:
    return {each for each in objects if not each.startswith("customresourcedefinition")}


def test_a_stack_is_built_by_helm(outside: Outside, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", outside.kubeconfig)
    for place in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"HELM_{place}_HOME", str(tmp_path / "helm" / place.lower()))
    before = {name: without_definitions(outside.objects(name)) for name in ("home", "far")}
    stack = LiveStack(name="e2e-enterprise", state=tmp_path / "root")
    stack_file = PROJECT / f"Pulumi.{stack.name}.yaml"
    try:
        stack_file.write_text(CONFIG.format(repository=NOWHERE))
        store_license(stack)
        assert LICENSE not in stack_file.read_text(), "Pulumi encrypts it"

        refused = stack.pulumi("preview", "-s", stack.name)
        assert refused.returncode != 0, "the charts are out of reach"
        assert NOWHERE in refused.stdout, f"it is said which repository is not there:\n{refused.stdout[-3000:]}"
        assert {name: without_definitions(outside.objects(name)) for name in before} == before, "a preview makes nothing"

        stack_file.write_text(stack_file.read_text().replace(NOWHERE, repository))
        preview = stack.pulumi("preview", "-s", stack.name)
        assert preview.returncode == 0, f"preview failed:\n{preview.stdout[-4000:]}\n{preview.stderr[-2000:]}"
        assert preview.stdout.count("kubernetes:helm.sh/v3:Release") == 3, preview.stdout

        with command_lines() as seen:
            up = stack.cli("up", timeout=900)
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        assert "blue-pod" in up.stdout, "`up` ends with the first answer, through a proxy that Helm installed"
        encoded = base64.b64encode(LICENSE.encode()).decode()
        state = (stack.state / "backend" / ".pulumi" / "stacks" / "service-failover" / f"{stack.name}.json").read_text()
        for where, text in {"the output": up.stdout + up.stderr, "the state": state, "a preview": preview.stdout + preview.stderr}.items():
            assert LICENSE not in text, f"{where} has the licence key"
            assert encoded not in text, f"{where} has the licence key, encoded"
        assert not [line for line in seen if LICENSE.encode() in line], "a process has the licence key in its command line"

        for cluster, namespace in (("local", "gloo-system"), ("remote", "gloo-system"), ("local", "gloo-fed")):
            secret = stack.get(cluster, "secret", "-n", namespace, LICENSE_SECRET)
            assert base64.b64decode(secret["data"]["license-key"]).decode() == LICENSE, "the chart got the key as it is"
        scheme = stack.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme")
        assert scheme["status"]["state"] == "ACCEPTED", "federation reads and writes both clusters with the rights of its registration"

        again = stack.cli("up", timeout=900)
        for change in (" created", " updated", " replaced"):
            assert change not in again.stdout, f"a second `up` does nothing: {again.stdout[-3000:]}"

        assert stack.cli("fail").returncode == 0
        until("green takes over", lambda: answer(stack.url) == '"green-pod"')
        assert stack.cli("heal").returncode == 0
        until("blue is back", lambda: answer(stack.url) == '"blue-pod"')

        down = stack.cli("down", timeout=900)
        assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
        assert {name: without_definitions(outside.objects(name)) for name in before} == before, "but for definitions, which Helm leaves"
    finally:
        stack.cli("down", timeout=900)
        stack_file.unlink(missing_ok=True)
