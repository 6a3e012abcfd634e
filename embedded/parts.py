"""The parts of a cluster: which programs run, with which arguments, and how to ask each whether it is well. Pure; nothing is started here.

Keys never stand in a command line, only paths of files that their owner alone can read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from embedded.https import Endpoint
from embedded.layout import StateDir
from embedded.network import Network, Port

ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, NODE_AGENT = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "node-agent"

STOP_ORDER = ((NODE_AGENT,), (SCHEDULER, CONTROLLER_MANAGER, API_SERVER), (ETCD,))
"""Groups that stop one after the other: pods end while the API can still be told so, and etcd ends when nobody writes any more."""

CONTROLLERS = (
    # Workloads, what owns what, and what goes when its owner or namespace goes.
    *("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob", "garbage-collector", "pod-garbage-collector", "namespace"),
    *("ttl-after-finished", "disruption", "resourcequota"),
    # Services. Endpoints too, because clients that wait for a Service still read them.
    *("endpoints", "endpointslice", "endpointslice-mirroring"),
    # Identities: default ServiceAccounts, explicit token Secrets, the authority's ConfigMap, aggregated roles (admin, edit, view).
    *("serviceaccount", "serviceaccount-token", "root-ca-certificate-publisher", "clusterrole-aggregation"),
)
"""Controllers that run, without the suffix. Not here: volumes, certificate requests, autoscaling, several nodes, cloud providers; nor node-lifecycle:
there is one node, and its healer is the supervisor, which knows sooner than a lease could tell."""

ADMISSION_OFF = (
    "CertificateApproval,CertificateSigning,CertificateSubjectRestriction,ClusterTrustBundleAttest,DefaultIngressClass,DefaultStorageClass,"
    "PersistentVolumeClaimResize,StorageObjectInUseProtection,TaintNodesByCondition"
)
"""Admission plugins of kinds that nobody serves here; TaintNodesByCondition because only node-lifecycle would take its taint away again."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A program that the supervisor keeps running. `health` is a path on `endpoint` that answers 200 while the program itself is well."""

    name: str
    argv: tuple[str, ...]
    endpoint: Endpoint
    health: str
    needs_api: bool
    """Started only when the API server is ready: without it the program would end again, or sleep before it tries once more."""
    grace: float
    """Seconds between SIGTERM and SIGKILL when the cluster stops."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def part_from(document: dict[str, Any]) -> Part:
    """The part that to_json wrote."""
    return Part(**document | {"argv": tuple(document["argv"]), "endpoint": Endpoint(**document["endpoint"])})


def api_endpoint(state: StateDir, network: Network) -> Endpoint:
    """The API server, as its administrator."""
    pki = state.pki
    return Endpoint(
        host=network.host, port=int(Port.API_SERVER), ca=str(pki / "ca.crt"), certificate=str(pki / "admin.crt"), key=str(pki / "admin.key")
    )


def parts(*, state: StateDir, network: Network, kube_node: str) -> tuple[Part, ...]:
    """Every part, in the order of their start."""
    pki = state.pki
    api = api_endpoint(state, network)
    etcd = replace(
        api,
        port=int(Port.ETCD),
        ca=str(pki / "etcd-ca.crt"),
        certificate=str(pki / "apiserver-etcd-client.crt"),
        key=str(pki / "apiserver-etcd-client.key"),
    )
    agent = replace(
        api, port=int(Port.NODE_AGENT), certificate=str(pki / "apiserver-kubelet-client.crt"), key=str(pki / "apiserver-kubelet-client.key")
    )
    return (
        Part(name=ETCD, argv=(kube_node, *etcd_argv(state, network)), endpoint=etcd, health="/livez", needs_api=False, grace=2),
        Part(
            name=API_SERVER, argv=(kube_node, *apiserver_argv(state, network)), endpoint=api, health="/livez?exclude=etcd", needs_api=False, grace=2
        ),
        Part(
            name=CONTROLLER_MANAGER,
            argv=(kube_node, *controller_manager_argv(state, network)),
            endpoint=replace(api, port=int(Port.CONTROLLER_MANAGER)),
            health="/healthz",
            needs_api=True,
            grace=1,
        ),
        Part(
            name=SCHEDULER,
            argv=(kube_node, *scheduler_argv(state, network)),
            endpoint=replace(api, port=int(Port.SCHEDULER)),
            health="/livez",
            needs_api=True,
            grace=1,
        ),
        Part(
            name=NODE_AGENT,
            argv=(kube_node, "node-agent", "--config", str(state.node_agent_config)),
            endpoint=agent,
            health="/healthz",
            needs_api=True,
            grace=3,
        ),
    )


def etcd_argv(state: StateDir, network: Network) -> tuple[str, ...]:
    pki = state.pki
    return (
        "etcd",
        "--name=embedded",
        f"--data-dir={state.etcd}/data",
        f"--listen-client-urls={network.url(Port.ETCD)}",
        f"--advertise-client-urls={network.url(Port.ETCD)}",
        f"--listen-peer-urls={network.url(Port.ETCD_PEER)}",
        f"--initial-advertise-peer-urls={network.url(Port.ETCD_PEER)}",
        f"--initial-cluster=embedded={network.url(Port.ETCD_PEER)}",
        *(f"--{kind}={pki}/etcd.crt" for kind in ("cert-file", "peer-cert-file")),
        *(f"--{kind}={pki}/etcd.key" for kind in ("key-file", "peer-key-file")),
        *(f"--{kind}={pki}/etcd-ca.crt" for kind in ("trusted-ca-file", "peer-trusted-ca-file")),
        "--client-cert-auth=true",
        "--peer-client-cert-auth=true",
        # What a killed process wrote is in the kernel's page cache and survives the process, and an orderly reboot; only a loss of power can lose it.
        # For a cluster that one command rebuilds this is the better bargain: a slow disk cannot make the API server miss its deadlines.
        "--unsafe-no-fsync=true",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    )


def apiserver_argv(state: StateDir, network: Network) -> tuple[str, ...]:
    pki = state.pki
    return (
        "kube-apiserver",
        f"--bind-address={network.host}",
        f"--advertise-address={network.node_address}",
        f"--secure-port={int(Port.API_SERVER)}",
        f"--service-cluster-ip-range={network.service_cidr}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--disable-admission-plugins={ADMISSION_OFF}",
        f"--etcd-servers={network.url(Port.ETCD)}",
        f"--etcd-cafile={pki}/etcd-ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--api-audiences=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--egress-selector-config-file={state.egress_selector}",
        # One user's cluster: fair queueing among tenants only costs its start.
        "--enable-priority-and-fairness=false",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
    )


def controller_manager_argv(state: StateDir, network: Network) -> tuple[str, ...]:
    pki = state.pki
    return (
        "kube-controller-manager",
        f"--kubeconfig={state.kubeconfig('controller-manager')}",
        f"--bind-address={network.host}",
        f"--secure-port={int(Port.CONTROLLER_MANAGER)}",
        f"--tls-cert-file={pki}/controller-manager-server.crt",
        f"--tls-private-key-file={pki}/controller-manager-server.key",
        f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-account.key",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    )


def scheduler_argv(state: StateDir, network: Network) -> tuple[str, ...]:
    pki = state.pki
    return (
        "kube-scheduler",
        f"--kubeconfig={state.kubeconfig('scheduler')}",
        f"--bind-address={network.host}",
        f"--secure-port={int(Port.SCHEDULER)}",
        f"--tls-cert-file={pki}/scheduler-server.crt",
        f"--tls-private-key-file={pki}/scheduler-server.key",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    )


def egress_selector(state: StateDir, network: Network) -> dict[str, Any]:
    """How the API server reaches into the cluster (logs, exec, port-forward, webhooks): through the node agent, which realises the address."""
    pki = state.pki
    return {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [
            {
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {
                        "tcp": {
                            "url": network.url(Port.NODE_AGENT),
                            "tlsConfig": {
                                "caBundle": f"{pki}/ca.crt",
                                "clientCert": f"{pki}/apiserver-kubelet-client.crt",
                                "clientKey": f"{pki}/apiserver-kubelet-client.key",
                            },
                        }
                    },
                },
            }
        ],
    }
