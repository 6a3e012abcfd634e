"""The life of a stack: up, first answer, down.

Each is the Pulumi command a user would type and what has to be true before and after it: the stack is there, the answer was seen, nothing is left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toolchain
from cli.leftovers import end_orphans
from cli.workspace import PROJECT, CommandFailed, Workspace, make

SECRET = re.compile(r"^( +)\S+:\n\1 +secure:.*\n?", re.MULTILINE)
"""A key of a stack's config file with an encrypted value."""
FIRST_ANSWER_TIMEOUT = 60.0
"""Seconds to wait for the first 200 after `pulumi up`."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but only this process got it, so that what it runs has to be told."""


GARBAGE_COLLECTION = {"GOGC": "400"}
"""Pulumi copies the whole state for every step; to collect that garbage as often as Go does by default takes a sixth of its processor time."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack of a project."""

    name: str
    workspace: Workspace

    def pulumi(self, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run `pulumi` on the workspace. Ctrl-C reaches it as well (same process group), and it is given the time to end well."""
        command = [str(toolchain.find("pulumi")), "--cwd", str(self.workspace.project), *arguments, *(["--non-interactive"] if capture else [])]
        with subprocess.Popen(
            command,
            env={**os.environ, **_tools(), **self.environment(), "TMPDIR": str(self.workspace.temporary), **GARBAGE_COLLECTION},
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            text=True,
        ) as process:
            try:
                out, err = process.communicate()
            except Terminated:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            except KeyboardInterrupt:
                # The terminal has sent the signal to pulumi too: it cancels, saves its state and ends. A second Ctrl-C ends it at once.
                process.wait()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out or "", err or "")

    def environment(self) -> dict[str, str]:
        """The variables for `pulumi` and its program. Once the stack is up, it takes back what somebody else has changed of it since.

        Not before: what is in a cluster under the same name, and is not this stack's, must not be overwritten.
        """
        return self.workspace.environment() | ({"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"} if self.was_up() else {})

    def was_up(self) -> bool:
        """Whether it has been brought up as a whole."""
        return any(self.workspace.kubeconfigs(self.name).glob("*.yaml"))

    def command(self, target: str) -> str:
        """What to type for a target of the Makefile."""
        return make(target, self.name, self.workspace.project)

    def exists(self) -> bool:
        """Whether the backend knows this stack."""
        return self.name in self.workspace.stacks()

    def initialise(self) -> None:
        """Prepare the workspace and create the stack in it unless it is there."""
        self.workspace.prepare()
        if self.exists():
            return
        done = self.pulumi("stack", "init", self.name, capture=True)
        if done.returncode:
            raise CommandFailed(
                f"cannot create stack {self.name!r}: {done.stderr.strip()}\nlook at {self.workspace.backend}, then: {self.command('up')}"
            )

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear. Empty when the stack is not there."""
        if not self.exists():
            return {}
        done = self.pulumi("stack", "output", "--json", "--show-secrets", "-s", self.name, capture=True)
        if done.returncode:
            raise CommandFailed(f"cannot read the outputs of stack {self.name!r}: {done.stderr.strip()}")
        return dict(json.loads(done.stdout or "{}"))

    def proxy_url(self) -> str:
        """The URL that clients call."""
        url = self.outputs().get("proxyUrl")
        if not url:
            raise CommandFailed(f"stack {self.name!r} is not up. Bring it up first: {self.command('up')}")
        return str(url)

    def up(self, *, refresh: bool = False) -> dict[str, Any]:
        """Bring the stack up, or to what the config says now, and wait for the first answer. Returns the outputs.

        `refresh`: look at what runs first, so that what somebody has changed or deleted is put right. Every cluster has to answer then.

        Errors: CommandFailed when Pulumi reports one (it has printed why) or nothing answers in time.
        """
        self.initialise()
        if self.pulumi("up", "--yes", "--skip-preview", *(["--refresh"] if refresh else []), "-s", self.name).returncode:
            raise CommandFailed(f"the stack is not complete. Put right what is named above, then go on where this stopped: {self.command('up')}")
        outputs = self.outputs()
        url = str(outputs["proxyUrl"])
        print(f"\nProxy:   {url}\nAnswer:  {first_answer(url, then=self.command('status'))}\n\n{self._next_steps()}")
        return outputs

    def _next_steps(self) -> str:
        steps = {
            "fail": "blue says it is unhealthy: the same URL answers green-pod",
            "heal": "blue is healthy again: blue-pod",
            "watch": "who answers, live",
            "console": "who serves, clusters and events as a page in your browser",
            "down": "removes all of it",
        }
        width = max(len(self.command(target)) for target in steps)
        return "\n".join(
            [
                *(f"{self.command(target):{width}} {text}" for target, text in steps.items()),
                "",
                "By hand, as the guide has it:",
                f'  eval "$({self.command("env").replace("make", "make -s", 1)})"',
                "  kubectl port-forward deploy/echo-blue 19000 &",
                "  curl -X POST http://localhost:19000/healthcheck/fail",
                "  curl $(pulumi stack output proxyUrl)",
            ]
        )

    def down(self) -> None:
        """Destroy the stack and remove what belongs to it. Works on a half-made, a broken and an absent stack, and without Pulumi.

        Errors: CommandFailed, with what is left, when something cannot be removed.
        """
        has_kind_clusters = self.has_kind_clusters()
        if not self.exists() and not self.workspace.clusters(self.name).exists():
            print(f"There is no stack {self.name!r} here.")
        elif self.exists() and (problem := self._destroy()):
            if self._is_in_clusters_that_stay():
                raise CommandFailed(
                    f"not everything is removed: {problem}. Then go on where this stopped: {self.command('down')}\n"
                    f"If a cluster is gone for good, drop what was in it: PULUMI_K8S_DELETE_UNREACHABLE=true {self.command('down')}\n"
                    f"If its state cannot be read any more, give it up and leave what is in the clusters: {self.command('forget')}"
                )
            # What cannot be asked (a dead API server) is dropped from the state; the clusters themselves are deleted below in any case.
            print(f"Pulumi could not remove everything ({problem}); removing the clusters and the state directly.", file=sys.stderr)
        self._delete_clusters()
        if has_kind_clusters:
            self._delete_kind_clusters()
        end_orphans(self.workspace.home)
        self._forget()
        print(f"Stack {self.name!r} is gone: no process, no file of it is left.")

    def forget(self) -> None:
        """Remove the state of a stack whose clusters stay, and nothing in them.

        Errors: CommandFailed for a stack with clusters of its own: those would be left without an owner.
        """
        if (self.exists() and not self._is_in_clusters_that_stay()) or any(self.workspace.clusters(self.name).glob("*")):
            raise CommandFailed(f"stack {self.name!r} has clusters of its own; they and its state go together: {self.command('down')}")
        self._forget()
        print(f"The state of stack {self.name!r} is removed. What it made is still in its clusters; docs/operations.md says how to find it.")

    def _destroy(self) -> str:
        """Let Pulumi destroy everything. Returns what has to be done before it can, "" when it has."""
        try:
            self.workspace.prepare()
            self.pulumi("cancel", "--yes", "-s", self.name, capture=True)
            failed = self.pulumi("destroy", "--yes", "--skip-preview", "-s", self.name).returncode
        except (CommandFailed, toolchain.ToolMissing) as error:
            return f"{error}"
        return "put right what is named above" if failed else ""

    def has_kind_clusters(self) -> bool:
        """Whether the stack has kind clusters, or is to have some, as far as its state and its config file say. docker is not asked."""
        config = self.workspace.project / f"Pulumi.{self.name}.yaml"
        if config.exists() and re.search(r"""\b(clusterK|k)ind['"]?:\s*['"]?kind\b""", config.read_text()):
            return True
        return self.workspace.names_type(self.name, "service-failover:index:KindCluster")

    def kind_clusters(self, verb: str) -> bool:
        """`list` or `delete` the stack's kind clusters, by what docker says. Whether that went well; what did not has been said."""
        command = [sys.executable, "-m", "service_failover.kind", verb, "--stack", self.name, "--state-dir", str(self.workspace.root)]
        return subprocess.run(command, cwd=PROJECT, check=False).returncode == 0

    def _is_in_clusters_that_stay(self) -> bool:
        """Whether something of the stack is in a cluster that it does not delete: then its state must not be thrown away."""
        return self.workspace.names_type(self.name, "service-failover:index:ExistingCluster")

    def _forget(self) -> None:
        without_salt(self.workspace.project / f"Pulumi.{self.name}.yaml")
        self.workspace.forget(self.name)

    def _delete_clusters(self) -> None:
        directories = sorted(self.workspace.clusters(self.name).glob("*"))
        delete = [sys.executable, "-m", "embedded", "delete", "--state-dir"]  # needs no package: the environment may be gone
        left = [str(each) for each in directories if subprocess.run([*delete, str(each)], cwd=PROJECT, check=False).returncode]
        if left:
            raise CommandFailed(f"not removed, for the reason above: {', '.join(left)}\nthen once more: {self.command('down')}")

    def _delete_kind_clusters(self) -> None:
        """Those that Pulumi did not know, or could not delete. As long as docker does not answer, the state is kept."""
        if not self.kind_clusters("delete"):
            raise CommandFailed(f"kind clusters of stack {self.name!r} may be left, for the reason above. Then once more: {self.command('down')}")


def _tools() -> dict[str, str]:
    """PATH with the tools, as far as they are there: what ends a stack must do without."""
    try:
        return toolchain.environment()
    except toolchain.ToolMissing:
        return {}


def first_answer(url: str, timeout: float = FIRST_ANSWER_TIMEOUT, *, then: str = "make status") -> str:
    """The body of the first 200 from `url`, polled for up to `timeout` seconds. `then`: what to type when there is none."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 -- the stack's own http URL
                return str(response.read().decode().strip())
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise CommandFailed(f"{url} gave no answer within {timeout:g} s (last: {error}). See why: {then}") from error
            time.sleep(0.1)


def without_salt(config: Path) -> None:
    """Take the line that Pulumi adds for its passphrase out of a stack's config file again, and the file away if it held nothing else.

    Secrets go with it, such as a licence key: nobody could decrypt them any more, and the next `up` would fail on them.
    """
    if not config.exists():
        return
    salted = config.read_text()
    text = re.sub(r"^encryptionsalt:.*\n?", "", salted, flags=re.MULTILINE)
    if text != salted:
        text = SECRET.sub("", text)
    if text.strip():
        config.write_text(text)
    else:
        config.unlink()
