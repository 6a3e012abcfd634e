"""Alert rules and a dashboard for what the control plane and the proxies count, and the component that gives them to the Prometheus operator."""

from __future__ import annotations

from collections.abc import Mapping

from service_failover.clusters import Cluster
from service_failover.config import Settings
from service_failover.editions import ControlPlane
from service_failover.enterprise.gloo_fed import EnterpriseGlooFed
from service_failover.gloo_fed import GlooFed
from service_failover.monitoring.objects import Monitoring, MonitoringArgs
from service_failover.monitoring_settings import Scraper


def create_monitoring(
    settings: Settings, clusters: Mapping[str, Cluster], gloo: Mapping[str, ControlPlane], federation: GlooFed | EnterpriseGlooFed
) -> list[Monitoring]:
    """Monitoring in every cluster, if the settings say that the Prometheus operator is to scrape them."""
    if settings.monitoring.scraped_by is not Scraper.OPERATOR:
        return []
    made = []
    for name, cluster in clusters.items():
        is_management = name == settings.management.name
        args: MonitoringArgs = {"cluster_name": name, "federation": is_management, "labels": settings.monitoring.labels}
        after = [*gloo[name].foundation, *(federation.foundation if is_management else [])]
        made.append(Monitoring(f"{name}-monitoring", args, cluster.contents(depends_on=after)))
    return made
