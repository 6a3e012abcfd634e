"""The commands as processes of their own: what they load, and whom they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.leftovers import end_orphans
from cli.workspace import PROJECT

pytestmark = pytest.mark.process


def test_what_ends_a_stack_needs_nothing_but_the_standard_library() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); import cli.__main__, embedded.__main__, embedded.removal; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env=environment, check=True)
    known = sys.stdlib_module_names | {"cli", "embedded", "toolchain", "__main__"}
    assert [name for name in done.stdout.split() if name.partition(".")[0] not in known] == [], "the Python environment may be gone"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_plugin_that_outlived_its_pulumi_is_ended_and_no_other(tmp_path: Path) -> None:
    plugin = tmp_path / "home" / "plugins" / "resource-x-v1" / "pulumi-resource-x"
    plugin.parent.mkdir(parents=True)
    shutil.copy(shutil.which("sleep") or "", plugin)
    pulumi = tmp_path / "pulumi"
    shutil.copy(shutil.which("sh") or "", pulumi)
    with (
        subprocess.Popen([pulumi, "-c", f"{plugin} 60 & echo; wait"], stdout=subprocess.PIPE, start_new_session=True) as parent,
        subprocess.Popen([plugin, "60"]) as orphan,
    ):
        try:
            assert parent.stdout, "it has a pipe"
            parent.stdout.readline()
            while not Path("/proc", str(orphan.pid), "cmdline").read_bytes():
                time.sleep(0.01)  # it has just become the program that it is
            assert end_orphans(tmp_path / "home") == [orphan.pid], "its parent, this test, is no pulumi; the other's is one"
            assert orphan.wait(timeout=5) == -signal.SIGKILL, "it is gone"
            assert parent.poll() is None, "the other is still at work"
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def test_the_command_line_alone_loads_nothing_big():
    code = "import controlplane.__main__, sys; print([m for m in ('grpc', 'pydantic', 'lightkube', 'yaml') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]", "each command imports only what it needs"
