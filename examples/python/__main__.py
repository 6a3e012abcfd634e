"""A shop in two regions, as a project of its own: Frankfurt serves; when its app fails, Paris answers until Frankfurt is back.

A region is a component of this project, made of those of service-failover. Both have a failover gateway, so the other way round is one word.
"""

import pulumi

from service_failover.bluegreen_app import BlueGreenApp
from service_failover.certificates import CertificateAuthority, CertificateUse
from service_failover.cluster_access import ClusterAccess
from service_failover.clusters.embedded import EmbeddedCluster
from service_failover.failover_gateway import FailoverGateway
from service_failover.failover_scheme import FailoverScheme
from service_failover.gloo import Gloo
from service_failover.gloo_fed import GlooFed
from service_failover.registration import Registration
from service_failover.route import Route
from service_failover.upstream import HealthCheckedUpstream

REGIONS = {"frankfurt": "eu-central-1", "paris": "eu-west-3"}
PRIMARY = "frankfurt"
LABELS = {"team": "shop"}


class Region(pulumi.ComponentResource):
    """A cluster with Gloo and the shop's app in it, which other regions may send their customers to."""

    def __init__(self, name: str, cloud_region: str, authority: CertificateAuthority) -> None:
        super().__init__("shop:index:Region", name)
        self.cluster = EmbeddedCluster(
            name, {"cluster_name": name, "region": cloud_region, "zone": f"{cloud_region}a"}, pulumi.ResourceOptions(parent=self)
        )
        self.gloo = Gloo(f"{name}-gloo", {"addressing": self.cluster.addressing, "labels": LABELS}, self.inside())
        self.app = BlueGreenApp(f"{name}-app", {"color": name, "addressing": self.cluster.addressing, "labels": LABELS}, self.inside())
        client, server = f"customers.{name}", f"gateway.{name}"
        self.secrets = [
            authority.issue(f"{name}-client", secret="failover-upstream", dns_name=client, use=CertificateUse.CLIENT, opts=self.in_gloo()),
            authority.issue(f"{name}-server", secret="failover-downstream", dns_name=server, use=CertificateUse.SERVER, opts=self.in_gloo()),
        ]
        self.gateway = FailoverGateway(
            f"{name}-gateway",
            {
                "server_names": [pulumi.Output.concat(self.app.upstream_name, "_", self.gloo.namespace)],
                "client_identities": [f"customers.{other}" for other in REGIONS if other != name],
                "labels": LABELS,
            },
            self.in_gloo(),
        )
        self.access = ClusterAccess(
            f"{name}-access",
            {"cluster_name": name, "server": self.cluster.internal_address, "certificate_authority": self.cluster.certificate_authority},
            self.in_gloo(),
        )
        self.register_outputs({})

    def inside(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options for a part of this region, in its cluster."""
        return pulumi.ResourceOptions.merge(self.cluster.contents(depends_on=list(depends_on)), pulumi.ResourceOptions(parent=self))

    def in_gloo(self) -> pulumi.ResourceOptions:
        """Options for a part of this region that is made of objects of Gloo."""
        return self.inside(*self.gloo.foundation)


authority = CertificateAuthority("shop", {"common_name": "shop"})
regions = {name: Region(name, cloud_region, authority) for name, cloud_region in REGIONS.items()}
home = regions[PRIMARY]

federation = GlooFed("federation", {"addressing": home.cluster.addressing, "labels": LABELS}, home.cluster.contents())
in_federation = home.cluster.contents(depends_on=federation.foundation)
registrations = [
    Registration(
        f"{name}-registration",
        {"cluster_name": name, "kubeconfig": region.access.kubeconfig, "gateway_identity": f"gateway.{name}"},
        in_federation,
    )
    for name, region in regions.items()
]

at_home = home.cluster.contents(depends_on=home.gloo.foundation)
check = HealthCheckedUpstream("check", {"service_name": home.app.service_name, "path": "/health", "interval": "1s", "timeout": "1s"}, at_home)
FailoverScheme(
    "scheme",
    {
        "primary": {"cluster": PRIMARY, "upstream": check.upstream_name},
        "tiers": [[{"cluster": name, "upstreams": [region.app.upstream_name]}] for name, region in regions.items() if region is not home],
    },
    home.cluster.contents(depends_on=[federation, *registrations, *regions.values(), check]),
)
Route("customers", {"prefix": "/", "upstream": check.upstream_name}, at_home)

pulumi.export("proxyUrl", home.gloo.proxy_url)
pulumi.export("kubeconfigs", pulumi.Output.secret({name: region.cluster.kubeconfig for name, region in regions.items()}))
