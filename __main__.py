"""Service Failover, step by step as in the guide: blue serves from one cluster; when it fails, green takes over from another, until blue is back."""

import pulumi

from gloo_api.names import UPSTREAM_SECRET
from service_failover import config, names
from service_failover.bluegreen_app import BlueGreenApp
from service_failover.certificates import CertificateAuthority, CertificateUse
from service_failover.cluster_access import ClusterAccess
from service_failover.clusters import create_clusters, provide_images
from service_failover.editions import create_federation, create_gloo
from service_failover.failover_gateway import FailoverGateway
from service_failover.failover_scheme import FailoverScheme
from service_failover.monitoring import create_monitoring
from service_failover.registration import Registration
from service_failover.route import Route
from service_failover.upstream import HealthCheckedUpstream

settings = config.load()
primary, check = settings.primary, settings.health_check

# The Kubernetes clusters
clusters = create_clusters(settings)
images = provide_images(settings, clusters)
home, management = clusters[primary.cluster], clusters[settings.management.name]

# Gloo in each cluster, Gloo Federation in one
gloo = {name: create_gloo(settings, cluster, images[name]) for name, cluster in clusters.items()}
federation = create_federation(settings, management, images[settings.management.name])

# Alert rules and a dashboard, where the Prometheus operator is to have them
create_monitoring(settings, clusters, gloo, federation)

# Register the clusters with Gloo Federation
registrations = []
for name, cluster in clusters.items():
    access_args = {
        "cluster_name": name, "server": cluster.internal_address, "certificate_authority": cluster.certificate_authority, "edition": settings.edition,
    }  # fmt: skip
    access = ClusterAccess(f"{name}-access", access_args, cluster.contents(depends_on=gloo[name].foundation))
    registration_args = {"cluster_name": name, "kubeconfig": access.kubeconfig, "gateway_identity": names.server_identity(name)}
    registrations.append(Registration(f"{name}-registration", registration_args, management.contents(depends_on=federation.foundation)))

# Create the certificates and secrets for mTLS
authority = CertificateAuthority("failover-authority", {"common_name": "service failover", **settings.certificates.authority_args})
client_name, in_home = names.client_identity(primary.cluster), home.contents(depends_on=gloo[primary.cluster].foundation)
client = authority.issue("failover-upstream", secret=UPSTREAM_SECRET, dns_name=client_name, use=CertificateUse.CLIENT, opts=in_home)

# Create the failover gateways
gateways = []
for member in settings.members:
    in_cluster = clusters[member.cluster].contents(depends_on=gloo[member.cluster].foundation)
    name, server_name = f"{member.cluster}-failover-downstream", names.server_identity(member.cluster)
    server = authority.issue(name, secret=names.DOWNSTREAM_SECRET, dns_name=server_name, use=CertificateUse.SERVER, opts=in_cluster)
    gateways += [server, FailoverGateway(f"{member.cluster}-failover-gateway", {
        "addressing": clusters[member.cluster].addressing, "server_names": member.server_names, "client_identities": [client_name],
    }, in_cluster)]  # fmt: skip

# Deploy the sample application
apps = []
for app in settings.apps:
    cluster = clusters[app.cluster]
    apps.append(BlueGreenApp(f"{app.cluster}-{app.color}", {
        "color": app.color, "addressing": cluster.addressing, "health_filter": app.health_filter,
        "envoy_image": images[app.cluster].envoy, "echo_image": images[app.cluster].http_echo,
    }, cluster.contents()))  # fmt: skip

# Configure failover: a health check for the primary, and the scheme
upstream = HealthCheckedUpstream("primary", {
    "service_namespace": names.APP_NAMESPACE, "service_name": names.service_of(primary.color), "service_port": names.APP_PORT,
    "path": check.path, "interval": check.interval, "timeout": check.timeout,
    "unhealthy_threshold": check.unhealthy_threshold, "healthy_threshold": check.healthy_threshold, "weighted": settings.weighted,
}, in_home)  # fmt: skip
everything = [federation, *registrations, client, *gateways, *apps, upstream]
FailoverScheme("failover", {
    "primary": {"cluster": primary.cluster, "upstream": upstream.upstream_name},
    "edition": settings.edition,
    "tiers": [[{"cluster": each.cluster, "upstreams": each.upstreams, **each.share} for each in tier] for tier in settings.tiers],
}, management.contents(depends_on=everything))  # fmt: skip

# Route to the primary
Route("route", {"prefix": "/", "upstream": upstream.upstream_name}, in_home)

entry = gloo[primary.cluster]
pulumi.export("proxyUrl", pulumi.Output.all(entry.proxy_address, entry.proxy_port).apply(lambda at: f"http://{home.reachable(*at)}"))
pulumi.export("kubeconfigs", pulumi.Output.secret({name: cluster.kubeconfig for name, cluster in clusters.items()}))
pulumi.export("rotationEpoch", authority.reached_epoch)
pulumi.export("edition", settings.edition.value)
pulumi.export("contexts", {name: cluster.context for name, cluster in clusters.items()})
