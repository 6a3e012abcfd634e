"""Where a project keeps its state, and the environment in which `pulumi` works on it.

The embedded stack has a Pulumi home, a local file backend and a passphrase of its own, all below one private directory; the user's own Pulumi home
and login are never read or written. It does not run Pulumi: `cli.stack` does.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import toolchain

PROJECT = Path(__file__).resolve().parent.parent


class CommandFailed(Exception):
    """A step ended badly. The text is for the user and ends with the next command to run."""


def make(target: str, stack: str, project: Path = PROJECT) -> str:
    """What to type for a target of the Makefile on this stack."""
    chosen = "" if project == PROJECT else f" PROJECT={os.path.relpath(project, PROJECT)}"
    return f"make {target}{chosen}" + ("" if stack == "embedded" else f" STACK={stack}")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The state directory of one project. Several stacks share it; each has a folder of its own in it for its clusters."""

    root: Path
    """Private directory (0700) that holds everything below."""
    project: Path = PROJECT
    """Directory of the Pulumi project that it is for."""

    @property
    def home(self) -> Path:
        """PULUMI_HOME: plugins and credentials of this project."""
        return self.root / "pulumi"

    @property
    def backend(self) -> Path:
        """The file backend: one JSON file a stack, secrets in it encrypted."""
        return self.root / "backend"

    @property
    def passphrase(self) -> Path:
        """The file (0600) with the generated passphrase that encrypts the secrets of the backend."""
        return self.root / "passphrase"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the commands here: the Kubernetes plugin leaves kubeconfigs (0600) in it, and these have to go away with the state."""
        return self.root / "tmp"

    def clusters(self, stack: str) -> Path:
        """The directory in which a stack's embedded clusters live, one folder each."""
        return self.root / stack / "clusters"

    def kubeconfigs(self, stack: str) -> Path:
        """The directory with a file for each cluster of a stack, written when the stack is up."""
        return self.root / stack / "kubeconfigs"

    def prepare(self) -> None:
        """Create what is missing. Safe to repeat; a passphrase is never replaced, since the backend could not be read any more.

        Errors: CommandFailed when the passphrase of a stack that is there is gone, ToolMissing.
        """
        for directory in (self.root, self.home, self.backend, self.temporary):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.passphrase.exists():
            if stacks := self.stacks():
                ways = ", ".join(make("down", stack, self.project) for stack in stacks)
                raise CommandFailed(
                    f"{self.passphrase} is gone, and without it no secret of the stacks can be read. Put it back, or start anew: {ways}"
                )
            descriptor = os.open(self.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        toolchain.install_plugins(self.home)

    def environment(self) -> dict[str, str]:
        """The variables that make `pulumi`, and the program it runs, work on this state and nothing else."""
        return {
            "PULUMI_HOME": str(self.home),
            # Pulumi writes the whole state after every step of every resource. A checksum beside each of these files would serve nobody here.
            "PULUMI_BACKEND_URL": f"{self.backend.as_uri()}?metadata=skip",
            # Steps wait for pods; the default counts cores. With many more, what others wait for waits itself in a long queue of state writes.
            "PULUMI_PARALLEL": "20",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_K8S_CLIENT_BURST": "200",
            "PULUMI_K8S_CLIENT_QPS": "100",
            "SERVICE_FAILOVER_STATE": str(self.root),
            "USER": _user(),
        }

    def stacks(self) -> list[str]:
        """Names of the stacks that the backend knows."""
        return sorted(file.stem for file in (self.backend / ".pulumi" / "stacks").glob("*/*.json"))

    def names_type(self, stack: str, type_: str) -> bool:
        """Whether a resource of this type is in the state of a stack, as far as that can be read at all: types are not encrypted."""
        return any(type_.encode() in file.read_bytes() for file in (self.backend / ".pulumi" / "stacks").glob(f"*/{stack}.json"))

    def forget(self, stack: str) -> None:
        """Remove what a destroyed stack leaves, Pulumi's state of it too, and everything once no stack is left. Needs no Pulumi."""
        shutil.rmtree(self.root / stack, ignore_errors=True)
        own = {stack, *(f"{stack}.json{end}" for end in ("", ".attrs", ".bak", ".bak.attrs"))}
        kept = self.backend / ".pulumi"
        for path in [path for pattern in ("*/*/*", "locks/*/*/*") for path in kept.glob(pattern) if path.name in own]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self.stacks():
            shutil.rmtree(self.root, ignore_errors=True)


def _user() -> str:
    """Who makes a stack. Pulumi asks, and ends without an answer; in a container, or run for a number that no account has, nobody has told."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def open_workspace(project: Path = PROJECT) -> Workspace:
    """The workspace of a project: `.state` in its directory, or what $SERVICE_FAILOVER_STATE names."""
    root = os.environ.get("SERVICE_FAILOVER_STATE")
    return Workspace(root=Path(root).expanduser().resolve() if root else project / ".state", project=project)
