"""Status as Gloo writes it: by namespace of the writer on edge resources, flat and by namespace on federation resources."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from gloo_api.meta import Model
from gloo_api.serving import FailoverStatus, SchemeServing, TierStatus


class EdgeState(StrEnum):
    """State of an Upstream, Gateway or VirtualService."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    WARNING = "Warning"


class EdgeStatus(Model):
    """What one control plane says about a resource."""

    state: EdgeState = Field(
        EdgeState.PENDING, description="Rejected serves nothing; Warning serves all but what the reason names. Default: Pending."
    )
    reason: str = Field("", description="Every problem: field path, value, what is allowed.")
    reported_by: str = Field("", description="Component that wrote this.")
    messages: tuple[str, ...] = Field((), description="Notes that are no problem.")


class EdgeStatuses(Model):
    """Statuses by the namespace of the control plane that wrote them."""

    statuses: dict[str, EdgeStatus] = Field(default_factory=dict, description="Status by namespace of the writer.")


class UpstreamStatus(EdgeStatuses):
    """The statuses, and who serves when the Upstream has failover."""

    failover: FailoverStatus | None = Field(None, description="Who serves; only with spec.failover.")


class FedState(StrEnum):
    """State of a federation resource."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    INVALID = "INVALID"
    FAILED = "FAILED"
    ACCEPTED = "ACCEPTED"


class FedStatus(Model):
    """What gloo-fed says about a resource."""

    state: FedState = Field(
        FedState.PENDING, description="INVALID: the resource names what cannot be; FAILED: it could not be carried out. Default: PENDING."
    )
    message: str = Field("", description="Why, when the state is not ACCEPTED.")
    observed_generation: int = Field(0, ge=0, description="metadata.generation that this is about.")
    processing_time: str | None = Field(None, json_schema_extra={"format": "date-time"}, description="When this was written, RFC 3339.")


class FedStatuses(FedStatus):
    """The flat status, and the same by namespace of the writer."""

    namespaced_statuses: dict[str, FedStatus] = Field(default_factory=dict, description="Status by namespace of the writer.")


class SchemeStatus(FedStatuses):
    """Status of a FailoverScheme: Gloo's fields, which say whether it was accepted, and who serves."""

    serving: SchemeServing | None = Field(None, description="The tier that serves now; absent until the primary's gloo says so.")
    standby_proven: bool | None = Field(None, description="Whether every standby tier is proven to work before it is needed.")
    tiers: tuple[TierStatus, ...] = Field((), description="Every tier in order, the primary first.")
