"""`python -m controlplane gloo | gloo-fed | crds`: the command line. Each command imports only what it needs, so that it starts fast."""

from __future__ import annotations

import argparse
import os
import sys
import time

_STARTED = time.monotonic()

_EXIT_CODES = (
    "Exit codes: 0 told to stop (SIGTERM, SIGINT), with what had begun finished and the Lease released; 1 a defect, with a traceback; "
    "2 the command line, the environment or an address cannot be used, and the last line says which and why."
)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m controlplane", description="The open, Gloo-compatible control plane.", allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True)

    gloo = commands.add_parser("gloo", help="the control plane of one cluster", allow_abbrev=False)
    gloo.add_argument(
        "--namespace", default="gloo-system", help="its own namespace: discovered Upstreams and TLS Secrets are there (default: %(default)s)"
    )
    gloo.add_argument("--xds-address", required=True, metavar="HOST:PORT", help="where Envoys get their configuration")
    gloo.add_argument(
        "--xds-client-name", action="append", metavar="SAN", help="a client certificate needs this name (default: gateway-proxy.NAMESPACE)"
    )
    gloo.add_argument("--xds-insecure", action="store_true", help="serve xDS without TLS; for tests on loopback")
    gloo.add_argument(
        "--watch-namespaces", default="", metavar="A,B", help="read Services and Gloo's objects only in these namespaces (default: all)"
    )
    gloo.add_argument("--realise", metavar="FROM=TO", help="network of the cluster's addresses and the one that realises it on this host")

    fed = commands.add_parser("gloo-fed", help="the federation of the registered clusters", allow_abbrev=False)
    fed.add_argument("--namespace", default="gloo-fed", help="where KubernetesClusters and FailoverSchemes are (default: %(default)s)")
    fed.add_argument("--gloo-namespace", default="gloo-system", help="namespace of gloo in every cluster (default: %(default)s)")

    fed.add_argument("--console-address", metavar="HOST:PORT", help="serve the console here, read-only and without a login, so on loopback alone")

    for command in (gloo, fed):
        command.add_argument(
            "--leader-election",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="of several replicas let one write, by a Lease in NAMESPACE; without it this process writes at once, and must be the only one",
        )
        command.add_argument("--identity", metavar="NAME", help="this replica's name in the Lease, unique (default: $POD_NAME, else a random one)")
        command.add_argument("--health-address", metavar="HOST:PORT", help="serve /healthz, /readyz and /metrics here")
        command.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default: %(default)s")
        command.epilog = _EXIT_CODES

    crds = commands.add_parser("crds", help="print the CustomResourceDefinitions", allow_abbrev=False)
    crds.add_argument("--output", default="yaml", choices=("yaml", "json"))
    return root


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return {"gloo": _gloo, "gloo-fed": _gloo_fed, "crds": _crds}[options.command](options)
    except (ValueError, OSError) as error:
        print(f"controlplane {options.command}: {error}", file=sys.stderr)
        return 2


def _gloo(options: argparse.Namespace) -> int:
    from controlplane import log, process
    from controlplane.gloo.process import Options
    from controlplane.gloo.process import main as gloo
    from controlplane.net import namer, realiser, split_address
    from controlplane.xds.server import ServerTls

    log.configure(level=options.log_level)
    split_address(options.xds_address)
    client_names = frozenset(options.xds_client_name or [f"gateway-proxy.{options.namespace}"])
    return process.run(
        gloo(
            Options(
                namespace=options.namespace,
                xds_address=options.xds_address,
                tls=None if options.xds_insecure else ServerTls.from_env(os.environ, client_names=client_names),
                watch_namespaces=tuple(name for name in options.watch_namespaces.split(",") if name),
                realise=realiser(options.realise),
                named=namer(options.realise),
                health_address=options.health_address,
                started=_STARTED,
                identity=process.identity(given=options.identity) if options.leader_election else None,
            )
        )
    )


def _gloo_fed(options: argparse.Namespace) -> int:
    from controlplane import log, process
    from controlplane.fed.process import Options
    from controlplane.fed.process import main as fed
    from controlplane.net import require_loopback

    log.configure(level=options.log_level)
    if options.console_address:
        require_loopback(options.console_address)
    return process.run(
        fed(
            Options(
                namespace=options.namespace,
                gloo_namespace=options.gloo_namespace,
                console_address=options.console_address,
                health_address=options.health_address,
                started=_STARTED,
                identity=process.identity(given=options.identity) if options.leader_election else None,
            )
        )
    )


def _crds(options: argparse.Namespace) -> int:
    import json

    import yaml

    from gloo_api.crds import custom_resource_definitions

    documents = custom_resource_definitions()
    text = json.dumps(documents, indent=2) if options.output == "json" else yaml.safe_dump_all(documents, sort_keys=False)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
