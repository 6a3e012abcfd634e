"""`spec.outlierDetection` of an Upstream: endpoints that fail requests are left alone for a while, whatever their health check says."""

from __future__ import annotations

from pydantic import Field

from gloo_api.meta import Model, Percent, PositiveDuration, UInt32


class OutlierDetection(Model):
    """When an endpoint is ejected. Defaults are Envoy's; at least one endpoint can be ejected whatever maxEjectionPercent is."""

    consecutive5xx: UInt32 | None = Field(
        None, alias="consecutive5xx", description="Answers 5xx in a row (connection failures count) before an ejection. Default: 5."
    )
    interval: PositiveDuration | None = Field(None, description='Time between two sweeps. Default: "10s".')
    base_ejection_time: PositiveDuration | None = Field(None, description='How long an ejection lasts, times the number of them. Default: "30s".')
    max_ejection_percent: Percent | None = Field(None, description="Share of the endpoints that may be ejected; one always may. Default: 10.")
    enforcing_consecutive5xx: Percent | None = Field(None, alias="enforcingConsecutive5xx", description="Chance of an ejection. Default: 100.")
    enforcing_success_rate: Percent | None = Field(None, description="Chance of an ejection for a low success rate. Default: 100.")
    success_rate_minimum_hosts: UInt32 | None = Field(None, description="Endpoints with enough requests that a success rate needs. Default: 5.")
    success_rate_request_volume: UInt32 | None = Field(None, description="Requests in an interval that count as enough. Default: 100.")
    success_rate_stdev_factor: UInt32 | None = Field(
        None, description="Thousandths of a standard deviation below the mean success rate at which an endpoint is ejected. Default: 1900."
    )
    consecutive_gateway_failure: UInt32 | None = Field(None, description="Answers 502, 503, 504 in a row before an ejection. Default: 5.")
    enforcing_consecutive_gateway_failure: Percent | None = Field(None, description="Chance of an ejection for those. Default: 0, which is never.")
    split_external_local_origin_errors: bool = Field(False, description="Count connection failures and timeouts apart from answers. Default: false.")
    consecutive_local_origin_failure: UInt32 | None = Field(None, description="Connection failures in a row, when split. Default: 5.")
    enforcing_consecutive_local_origin_failure: Percent | None = Field(None, description="Chance of an ejection for those. Default: 100.")
    enforcing_local_origin_success_rate: Percent | None = Field(
        None, description="Chance of an ejection for a low rate of successful connections, when split. Default: 100."
    )
