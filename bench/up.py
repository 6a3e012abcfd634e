"""What `pulumi up` of the embedded default costs against a script that does the same by `kubectl apply`, in turns.

Both begin with nothing, make two clusters by the same command, both at once, and end with the first answer of the proxy. The script gets the objects
of a stack that was up, certificates included: it only applies them, and waits for what it must. It works on both clusters at once where that is
possible; somebody who types has it slower. Interrupted, it removes what it has made, and reports what it has measured.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

import toolchain
from bench.interruption import interruptible
from bench.objects import KUBECONFIG, Object, Step, document, objects, step
from bench.report import Goal, Report
from cli.stack import Stack, first_answer
from cli.workspace import PROJECT, Workspace
from service_failover.addressing import EMBEDDED, realised
from service_failover.cluster_access import TOKEN_SECRET, kubeconfig

LIMIT = 1.5
PULUMI, KUBECTL = "pulumi up", "kubectl apply"
NAME = "bench-up"
SPECS = {
    "local": {"name": "local", "region": "us-east-1", "zone": "us-east-1a"},
    "remote": {"name": "remote", "region": "us-east-1", "zone": "us-east-1c"},
}
"""The default clusters, as Pulumi.yaml has them."""
MANAGEMENT = "local"
WAIT = "--timeout=120s"
_TRIES = 50


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How often each is done."""

    repeats: int = 5


def run(settings: Settings, report: Report) -> None:
    """Measure both; figures and goals go into `report`. After an interruption (KeyboardInterrupt) those of what was measured until then."""
    seconds: dict[str, list[float]] = {PULUMI: [], KUBECTL: []}
    applied: list[int] = []
    try:
        with interruptible():
            _measure(settings, seconds, applied)
    finally:
        case = f"two clusters, {sum(applied)} objects"
        figures = [
            report.add(case=case, subject=name, metric="nothing to first answer", unit="s", values=values)
            for name, values in seconds.items()
            if values
        ]
        if len(figures) == len(seconds):
            ours, theirs = figures
            report.goals.append(Goal(name="pulumi up against kubectl apply (medians)", value=ours.median / theirs.median, limit=LIMIT, unit="times"))


def _measure(settings: Settings, seconds: Mapping[str, list[float]], applied: list[int]) -> None:
    """Add the `seconds` of each, and to `applied` the number of objects in each cluster, as soon as they are known."""
    with tempfile.TemporaryDirectory(prefix="service-failover-bench-") as folder:
        directory = Path(folder)
        _, wanted = with_pulumi(directory / "first")  # the objects to apply; and the caches are warm for both
        applied += [len(each) for each in wanted.values()]
        for repeat in range(settings.repeats):
            # Who is first changes from one repeat to the next.
            for name in (PULUMI, KUBECTL) if repeat % 2 else (KUBECTL, PULUMI):
                took = with_kubectl(directory / "kubectl", wanted) if name == KUBECTL else with_pulumi(directory / "pulumi")[0]
                seconds[name].append(took)


def with_pulumi(root: Path) -> tuple[float, Mapping[str, list[Object]]]:
    """Bring the default stack up with a state directory of its own, and remove it. Returns the seconds it took, and the objects it made."""
    stack = Stack(name=NAME, workspace=Workspace(root=root))
    environment = {**os.environ, "SERVICE_FAILOVER_STATE": str(root)}
    try:
        stack.initialise()
        began = time.monotonic()
        up = stack.pulumi("up", "--yes", "--skip-preview", "-s", NAME, capture=True)
        if up.returncode:
            raise RuntimeError(f"pulumi up failed: {up.stdout[-3000:]}{up.stderr[-3000:]}")
        took = time.monotonic() - began
        url = stack.proxy_url()
        began = time.monotonic()
        first_answer(url)
        took += time.monotonic() - began
        exported = stack.pulumi("stack", "export", "--show-secrets", "-s", NAME, capture=True)
        return took, objects(json.loads(exported.stdout))
    finally:
        command = [sys.executable, "-m", "cli", "--stack", NAME, "down"]
        # In a session of its own: a Ctrl-C in the terminal does not reach it.
        subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, check=True, start_new_session=True)


def with_kubectl(root: Path, wanted: Mapping[str, list[Object]]) -> float:
    """Do the same by kubectl, and remove it. Returns the seconds it took."""
    script = Script(kubeconfigs={name: root / f"{name}.yaml" for name in SPECS})
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(max_workers=len(SPECS)) as both:
            list(both.map(lambda name: _make(name, root), SPECS))
        first_answer(script.run(wanted))
        return time.monotonic() - began
    finally:
        for name in SPECS:
            _embedded("delete", root / name)


@dataclass(frozen=True, kw_only=True)
class Script:
    """The script, for embedded clusters that are there. `kubeconfigs`: a file for each."""

    kubeconfigs: Mapping[str, Path]

    def run(self, wanted: Mapping[str, list[Object]]) -> str:
        """Apply everything, and wait until it is in force. Returns the URL of the proxy."""
        with ThreadPoolExecutor(max_workers=len(self.kubeconfigs)) as both:
            list(both.map(lambda name: self._populate(name, wanted[name]), self.kubeconfigs))
            credentials = dict(zip(self.kubeconfigs, both.map(self._credentials, self.kubeconfigs), strict=True))
            registration = [_registered(each, credentials) for each in _of(wanted[MANAGEMENT], Step.REGISTRATION)]
            self._apply(MANAGEMENT, registration)
            list(both.map(self._await, self.kubeconfigs))
        self._apply(MANAGEMENT, _of(wanted[MANAGEMENT], Step.SCHEME))
        accepted = ["wait", "failoverscheme", "--all", "-n", "gloo-fed", "--for=jsonpath={.status.state}=ACCEPTED", WAIT]
        self._kubectl(MANAGEMENT, *accepted)
        service = json.loads(self._kubectl(MANAGEMENT, "get", "service", "-n", "gloo-system", "gateway-proxy", "-o", "json"))
        address, port = service["status"]["loadBalancer"]["ingress"][0]["ip"], service["spec"]["ports"][0]["port"]
        return f"http://{realised(address, EMBEDDED.get('realise'))}:{port}"

    def _populate(self, name: str, manifests: list[Object]) -> None:
        self._apply(name, _of(manifests, Step.FOUNDATION))
        self._await_definitions(name)
        self._apply(name, _of(manifests, Step.BASICS))
        self._apply(name, _of(manifests, Step.WORKLOADS))

    def _await_definitions(self, name: str) -> None:
        """`kubectl wait` fails at once for a definition that has no condition yet, so it is called again."""
        for left in range(_TRIES, -1, -1):
            try:
                self._kubectl(name, "wait", "crd", "--all", "--for=condition=Established", WAIT)
                return
            except RuntimeError:
                if not left:
                    raise
                time.sleep(0.1)

    def _credentials(self, name: str) -> str:
        """The kubeconfig for Gloo Federation: by hand it is put together from the cluster's own and the token."""
        self._kubectl(name, "wait", "secret", TOKEN_SECRET, "-n", "gloo-system", "--for=jsonpath={.data.token}", WAIT)
        token = json.loads(self._kubectl(name, "get", "secret", TOKEN_SECRET, "-n", "gloo-system", "-o", "json"))["data"]["token"]
        cluster = yaml.safe_load(self.kubeconfigs[name].read_text())["clusters"][0]["cluster"]
        return kubeconfig(
            cluster=name,
            user="gloo-federation",
            server=cluster["server"],
            certificate_authority=cluster["certificate-authority-data"],
            token=base64.b64decode(token).decode(),
        )

    def _await(self, name: str) -> None:
        self._kubectl(name, "wait", "deployments", "--all", "-A", "--for=condition=Available", WAIT)
        address = "--for=jsonpath={.status.loadBalancer.ingress[0].ip}"
        self._kubectl(name, "wait", "service", "gateway-proxy", "-n", "gloo-system", address, WAIT)

    def _apply(self, name: str, manifests: Iterable[Object]) -> None:
        self._kubectl(name, "apply", "--server-side", "-f", "-", stdin=document(manifests))

    def _kubectl(self, name: str, *arguments: str, stdin: str = "") -> str:
        command = [str(toolchain.find("kubectl")), "--kubeconfig", str(self.kubeconfigs[name]), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)} on {name}: {done.stderr[-3000:]}")
        return done.stdout


def _of(manifests: Iterable[Object], wanted: Step) -> list[Object]:
    return [each for each in manifests if step(each) is wanted]


def _registered(manifest: Object, credentials: Mapping[str, str]) -> Object:
    """An object of a registration, with the kubeconfig of the cluster that is there now."""
    if manifest.get("type") != KUBECONFIG:
        return manifest
    return manifest | {"stringData": {"kubeconfig": credentials[manifest["metadata"]["name"]]}}


def _make(name: str, root: Path) -> None:
    text = _embedded("start", root / name, json.dumps(SPECS[name]))
    with os.fdopen(os.open(root / f"{name}.yaml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _embedded(verb: str, directory: Path, stdin: str = "") -> str:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "embedded", verb, "--state-dir", str(directory)]
    done = subprocess.run(command, cwd=PROJECT, input=stdin, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        raise RuntimeError(f"embedded {verb}: {done.stderr[-3000:]}")
    return done.stdout
