"""Who is to read the metrics of a stack, and what that asks of the rest of the configuration. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service_failover.cluster_settings import ClusterKind, ClusterSettings
from service_failover.edition_settings import Edition
from service_failover.reading import Section

DEFINITIONS = ("podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com")
"""What the Prometheus operator brings, without which no object for it can be made."""
FILES = "service_failover/monitoring/ has the alert rules and the dashboard"


class Scraper(StrEnum):
    """Who reads the metrics."""

    NONE = "none"
    """Nobody is provided for. The control planes have metrics all the same."""
    PROMETHEUS = "prometheus"
    """A Prometheus that is configured by its owner: proxies get a port for it."""
    OPERATOR = "operator"
    """The Prometheus operator: proxies get the port, and the operator its objects."""


@dataclass(frozen=True, kw_only=True)
class MonitoringSettings:
    """What is made for Prometheus and Grafana."""

    scraped_by: Scraper
    labels: dict[str, str]
    """By which the operator selects objects."""


def read_monitoring(section: Section) -> MonitoringSettings:
    """The section `monitoring`."""
    return MonitoringSettings(scraped_by=section.choice("scrapedBy", Scraper), labels=section.labels("labels"))


def monitoring_problems(settings: MonitoringSettings, *, edition: Edition, clusters: Sequence[ClusterSettings]) -> list[str]:
    """What is wrong with the monitoring of these clusters."""
    problems = []
    if settings.scraped_by is not Scraper.NONE and edition is Edition.ENTERPRISE:
        problems.append(
            f'monitoring.scrapedBy: "{settings.scraped_by}" is for the open control plane, and edition is "enterprise", '
            "whose charts bring a monitoring of their own; allowed with it: none"
        )
    embedded = [f"clusters[{index}] ({each.name})" for index, each in enumerate(clusters) if each.kind is ClusterKind.EMBEDDED]
    if settings.scraped_by is Scraper.OPERATOR and embedded:
        problems.append(
            'monitoring.scrapedBy: "operator" needs clusters in which the Prometheus operator can run, and these are embedded: '
            f"{', '.join(embedded)}; allowed with them: none, prometheus. {FILES}, "
            "and `make metrics` prints a configuration for a Prometheus on this machine"
        )
    if settings.scraped_by is not Scraper.OPERATOR and settings.labels:
        problems.append('monitoring.labels: are for the objects of the Prometheus operator; set scrapedBy to "operator", or labels to {}')
    return problems


def operator_problem(cluster: str, *, lacking: Sequence[str], is_made: bool = True) -> str:
    """What to do about a cluster that lacks definitions of the operator; "" when it lacks none. `is_made`: the cluster is there already."""
    if not lacking:
        return ""
    if not is_made:
        return (
            f'monitoring.scrapedBy: "operator" needs the Prometheus operator in cluster {cluster}, which is not made yet; '
            'bring it up with "prometheus", install the operator in it, then set "operator"'
        )
    return (
        f'monitoring.scrapedBy: "operator" needs the Prometheus operator in cluster {cluster}, which lacks {", ".join(lacking)}; install it there, '
        "such as: helm install kube-prometheus-stack kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts "
        '--namespace monitoring --create-namespace; or set "prometheus"'
    )
