"""The console on this machine: a port-forward to gloo-fed that is opened again whenever it breaks. The page itself is `controlplane.fed.console`."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from cli import kubeconfigs
from cli.forwarding import forwarded
from cli.stack import Stack
from cli.workspace import CommandFailed

# A test holds them equal to service_failover.names: the commands that end a stack need no package.
DEPLOYMENT = FED_NAMESPACE = "gloo-fed"
CONSOLE_PORT = 9980
RETRY_SECONDS = 1.0


def serve(stack: Stack, *, port: int = 0) -> None:
    """Print the page's URL, and keep it open until interrupted; then return. `port` of 127.0.0.1; 0: a free one.

    Errors: CommandFailed when the stack is not up, gloo-fed cannot be reached, or it has no console.
    """
    kubectl = kubeconfigs.find_deployment(stack, DEPLOYMENT, namespace=FED_NAMESPACE)
    is_open = broken = False
    try:
        while True:
            try:
                with forwarded(kubectl, f"deploy/{DEPLOYMENT}", CONSOLE_PORT, namespace=FED_NAMESPACE, local=port) as forward:
                    require_console(forward.port, stack)
                    port = forward.port  # The same from now on: the page in the browser goes on with it.
                    say("Connected again." if is_open else f"The console: http://127.0.0.1:{port}/\nIt only reads. Ctrl-C ends it.")
                    is_open, broken = True, False
                    forward.wait()
            except CommandFailed as error:
                if not is_open:
                    raise
                if not broken:
                    say(f"Not connected: {error}\nIt is tried again every second; Ctrl-C ends it.")
                broken = True
            time.sleep(RETRY_SECONDS)
    except KeyboardInterrupt:
        say("\nThe console is closed.")


def require_console(port: int, stack: Stack) -> None:
    """Make sure that it is the console which answers there. Errors: CommandFailed."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state", timeout=10) as response:
            found = json.load(response)
            if "watchingSince" in found:
                return
            reason = "something else answers there"
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
    raise CommandFailed(
        f"the {DEPLOYMENT} of stack {stack.name!r} shows no console ({reason}). Either it is starting ({stack.command('status')}), or it is "
        f"older than this checkout ({stack.command('up')}), or it is Gloo Enterprise's, which has a console of its own"
    )


def say(text: str) -> None:
    print(text, flush=True)
