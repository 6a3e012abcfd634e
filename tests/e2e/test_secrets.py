"""No key, token, kubeconfig, passphrase or secret setting can be read in what a stack prints, logs, runs, and keeps, but in files that are for it.

Everything that is secret is collected where it legitimately is, before and after the certificates are rotated, and then searched for everywhere else:
in the output of each command that a user runs, in Pulumi's JSON and event logs, in the state with its history and backups, in every file of the state
directory, in the arguments of all processes seen meanwhile, in their environments, and in the clusters' objects. That the search finds a secret in
each form, test_secret_search.py proves; here it has to find planted ones in the same places.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LiveStack
from tests.e2e.secret_search import SecretSearch

pytestmark = pytest.mark.e2e

LICENCE = "licence-6b2f0c9d41e84c7f-only-for-this-test"
CANARY = "canary-90d1f5ab27c3-in-the-arguments"
SECRET_MARK = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a secret in JSON."""
HOLDERS = (
    "passphrase",
    "*/kubeconfigs/*.yaml",
    "*/clusters/*/pki/*",
    "*/clusters/*/etcd/data/**/*",
    "*/clusters/*/node/pods/*/kubeconfig",
    "tmp/kubeconfig*",
)
"""The files that are for secrets, below the state directory: nobody but their owner may read them."""
XDS_KEYS = {f"Secret gloo-xds-{side} of {cluster}" for side in ("server", "client") for cluster in ("local", "remote")}
"""What gloo and the proxies get from Kubernetes as variables. A process's environment is readable for its own user only."""


@dataclass
class Observed:
    """What was to be seen while commands ran."""

    stack: LiveStack
    outputs: dict[str, bytes] = field(default_factory=dict)
    arguments: set[bytes] = field(default_factory=set)

    def run(self, *arguments: str, fails: bool = False) -> None:
        """Run pulumi, and keep what it prints."""
        done = self.stack.pulumi(*arguments, "-s", self.stack.name)
        assert bool(done.returncode) == fails, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        self.keep(" ".join(arguments), done)

    def keep(self, command: str, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stdout, f"{command} printed something, or that nothing is in it would mean nothing"
        self.outputs[command] = (done.stdout + done.stderr).encode()

    def watch_arguments(self, end: threading.Event) -> None:
        while not end.is_set():
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.arguments.add(process.read_bytes())
                except OSError:
                    continue
            time.sleep(0.02)


@contextmanager
def watching(observed: Observed) -> Iterator[None]:
    """Keeps the arguments of all processes of this machine while the block lasts."""
    end = threading.Event()
    thread = threading.Thread(target=observed.watch_arguments, args=(end,))
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def learn(search: SecretSearch, stack: LiveStack) -> None:
    """Collect what is secret now: in the Secrets of both clusters, their kubeconfigs and keys, the state, and the passphrase."""
    for cluster in ("local", "remote"):
        for secret in stack.get(cluster, "secrets", "-A")["items"]:
            for value in secret["data"].values():
                search.add(f"Secret {secret['metadata']['name']} of {cluster}", base64.b64decode(value).decode())
    for file in [*stack.state.glob("*/kubeconfigs/*"), *stack.state.glob("*/clusters/*/pki/*")]:
        search.add(str(file.relative_to(stack.state)), file.read_text())
    search.add_word("the passphrase", (stack.state / "passphrase").read_text().strip())
    exported = json.loads(stack.pulumi("stack", "export", "--show-secrets", "-s", stack.name).stdout)
    for resource in exported["deployment"]["resources"]:
        for text in plaintexts(resource):
            search.add(f"state of {resource['urn'].rsplit('::', 1)[1]}", text)


def plaintexts(value: Any) -> Iterator[str]:
    """The secrets in an exported state that shows them."""
    if isinstance(value, dict) and SECRET_MARK in value:
        yield str(value["plaintext"])
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from plaintexts(inner)


@pytest.fixture(scope="module")
def search() -> SecretSearch:
    return SecretSearch()


@pytest.fixture(scope="module")
def observed(stack: LiveStack, search: SecretSearch, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What is to be seen of a rotation, of a refusal, and of every command that shows something."""
    observed, folder = Observed(stack=stack), tmp_path_factory.mktemp("observed")
    events = folder / "events.json"
    environment = pytest.MonkeyPatch()
    environment.setenv("PULUMI_DEBUG_COMMANDS", "true")  # for --event-log
    epoch = int(stack.pulumi("stack", "output", "rotationEpoch", "-s", stack.name).stdout)
    configured = stack.pulumi("config", "set", "--secret", f"{stack.config}licenseKey", "-s", stack.name, stdin=LICENCE)
    assert configured.returncode == 0, configured.stderr
    search.add_word("the licence", LICENCE)
    learn(search, stack)
    with watching(observed), subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", CANARY]) as canary:
        stack.configure("certificates.rotationEpoch", epoch + 1)
        observed.run("preview", "--json", "--diff")
        observed.keep("make up", stack.cli("up"))
        learn(search, stack)
        stack.configure("certificates.rotationEpoch", epoch + 2)
        observed.run("up", "--yes", "--skip-preview", "--json")
        observed.run("preview", "--diff", "--show-sames", "--show-reads")
        stack.configure("certificates.rotationEpoch", epoch + 4)
        observed.run("preview", fails=True)
        stack.configure("certificates.rotationEpoch", epoch + 2)
        observed.run("refresh", "--yes", "--skip-preview", "--diff", f"--event-log={events}")
        observed.run("stack", "export")
        observed.run("stack", "--show-urns", "--show-ids")
        observed.run("stack", "output", "--json")
        observed.run("stack", "history", "--json", "--full-dates")
        observed.run("config")
        observed.keep("make status", stack.cli("status"))
        canary.kill()
    environment.undo()
    observed.outputs["events"] = events.read_bytes()
    learn(search, stack)
    return observed


def others(stack: LiveStack) -> Iterator[Path]:
    """The files of the state directory that are not for secrets."""
    holders = {file for pattern in HOLDERS for file in stack.state.glob(pattern)}
    return (file for file in stack.state.rglob("*") if file.is_file() and not file.is_symlink() and file not in holders)


def test_there_is_something_to_search_for(search: SecretSearch, observed: Observed) -> None:
    assert len(search) > 60, "keys of three epochs, of two clusters, tokens, kubeconfigs, the passphrase and the licence"
    assert observed.outputs


def test_no_command_prints_a_secret(search: SecretSearch, observed: Observed) -> None:
    assert {command: found for command, output in observed.outputs.items() if (found := search.within(output))} == {}
    assert all(b"PRIVATE KEY" not in output for output in observed.outputs.values()), "nor one that was not searched for"


def test_no_process_has_a_secret_in_its_arguments(search: SecretSearch, observed: Observed) -> None:
    planted = SecretSearch()
    planted.add_word("canary", CANARY)
    assert any(planted.within(arguments) for arguments in observed.arguments), "a planted one is seen"
    assert any(b"pulumi" in arguments for arguments in observed.arguments), "among what runs for a while only"
    assert [arguments for arguments in observed.arguments if search.within(arguments)] == []


def test_only_the_pods_that_need_a_key_have_it_in_their_environment(stack: LiveStack, search: SecretSearch, observed: Observed) -> None:
    holders: dict[str, set[str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found = search.within((process / "environ").read_bytes())
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if found:
            holders[f"{process.name} {command[:80]}"] = found
            assert (process / "environ").stat().st_mode & 0o077 == 0, f"nobody else can read the environment of {command}"
    assert set().union(*holders.values()) == XDS_KEYS, (
        f"gloo and the proxies have the keys with which they reach each other, and nobody has others: {holders}"
    )


def test_the_state_and_its_history_hold_no_secret(stack: LiveStack, search: SecretSearch, observed: Observed, tmp_path: Path) -> None:
    files = [file for file in others(stack) if stack.state / "backend" in file.parents]
    assert {"backups", "history", "stacks"} <= {part for file in files for part in file.parts}, "all of the backend is searched"
    assert list(search.in_files(files)) == []
    state = next(file for file in files if file.name == f"{stack.name}.json")
    key = next(value for secret in stack.get("local", "secrets", "-A")["items"] for name, value in secret["data"].items() if name == "tls.key")
    planted = tmp_path / "planted.json"
    checkpoint = json.loads(state.read_text())
    checkpoint["checkpoint"]["latest"]["resources"][-1]["outputs"] = {"privateKeyPem": base64.b64decode(key).decode()}
    planted.write_text(json.dumps(checkpoint))
    planted.chmod(0o600)
    assert [file for file, _ in search.in_files([planted])] == [planted], "a state that was not encrypted would be found"


def test_no_log_and_no_other_file_holds_a_secret(stack: LiveStack, search: SecretSearch, observed: Observed) -> None:
    files = list(others(stack))
    names = {file.name for file in files}
    assert {"kube-apiserver.log", "etcd.log", "node-agent.log", "supervisor.log", "0.log"} <= names, "the logs of the clusters and of their pods"
    assert list(search.in_files(files)) == []


def test_the_files_that_are_for_secrets_are_for_their_owner_only(stack: LiveStack, observed: Observed) -> None:
    assert stack.state.stat().st_mode & 0o077 == 0, "nobody else gets into the state directory"
    for pattern in HOLDERS:
        files = [file for file in stack.state.glob(pattern) if file.is_file()]
        assert files or pattern.startswith("tmp/"), f"{pattern} names files"
        assert [file for file in files if file.stat().st_mode & 0o777 != 0o600] == [], pattern


def test_no_object_but_a_secret_holds_a_secret(stack: LiveStack, search: SecretSearch, observed: Observed) -> None:
    for cluster in ("local", "remote"):
        kinds = stack.kubectl(cluster, "api-resources", "--verbs=list", "-o", "name").split()
        listed = stack.kubectl(cluster, "get", "-A", "-o", "json", ",".join(kind for kind in kinds if kind != "secrets"))
        for known in ("failover-gateway", '"kind": "Deployment"', '"kind": "ConfigMap"', '"kind": "Event"'):
            assert known in listed or (known, cluster) == ("failover-gateway", "local"), f"{known} was listed"
        assert search.within(listed.encode()) == set(), f"in the objects of {cluster}"
