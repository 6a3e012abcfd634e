"""What every resource shares: the base model, kinds, references, durations and problems by field path.

It holds no field of any one resource and translates nothing; each noun has its own file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails

DURATION_PATTERN = r"^[0-9]+(\.[0-9]{1,9})?s$"
_OTHER_UNITS = {"ms": 0.001, "m": 60.0, "h": 3600.0}
MAX_DURATION = timedelta(days=3650)
"""Ten years: far beyond any use, and below what overflows in Envoy's timers."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with one field: `path` is `spec.healthChecks[0].interval`, `message` says the value and what is allowed."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidResource(ValueError):
    """An object that is not a valid resource of its kind; `problems` names every bad field."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Kind:
    """Where a resource lives in the Kubernetes API."""

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{self.group}"


class Model(BaseModel):
    """A part of a resource. Keys are camelCase in Kubernetes; a key that is not known here is kept and can be listed (`unknown_fields`)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    def unknown_fields(self) -> list[str]:
        """Paths below this part, such as `.healthChecks[0].foo`, of the keys that no model describes, in the order they were written."""
        found = [f".{key}" for key in self.__pydantic_extra__ or ()]
        for name, value in self.__dict__.items():
            # Every object is read anew with each change, and nearly all have nothing to tell: paths are made only for what is found.
            if value and isinstance(value, _CONTAINERS) and (below := _unknown_below(value)):
                alias = type(self).model_fields[name].alias or name
                found += [f".{alias}{path}" for path in below]
        return found

    def to_object(self) -> dict[str, Any]:
        """The JSON object as Kubernetes stores it: camelCase, durations as text, what was never set left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


_CONTAINERS = (Model, list, tuple, dict)


class StrictModel(Model):
    """A part whose unknown keys are errors: to ignore one would serve more, or check less, than was asked for."""

    model_config = ConfigDict(extra="forbid")


class GuardedModel(Model):
    """A part whose unknown keys are kept and listed, but for `GUARDS`: those limit what is served, and to ignore one would serve more."""

    GUARDS: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _no_guard_is_ignored(cls, value: Any) -> Any:
        found = [key for key in value if key in cls.GUARDS] if isinstance(value, dict) else []
        if found:
            errors: list[InitErrorDetails] = [{"type": "extra_forbidden", "loc": (key,), "input": value[key]} for key in found]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return value


class ObjectMeta(Model):
    """The part of Kubernetes' own metadata that is read here."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    generation: int = 0
    creation_timestamp: str = ""


class Resource(Model):
    """A whole Kubernetes object. Subclasses set `KIND` and type `spec` and `status`."""

    KIND: ClassVar[Kind]

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @classmethod
    def parse(cls, value: dict[str, Any]) -> Self:
        """Read an object as the API server gives it. Raises InvalidResource, which names every bad field with its value and what is allowed.

        The status is left out: it is what a controller has said, maybe one of another version, and must not make an object invalid.
        """
        try:
            return cls.model_validate({name: part for name, part in value.items() if name != "status"})
        except ValidationError as error:
            raise InvalidResource(problems_of(error)) from None

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.metadata.namespace, self.metadata.name

    @property
    def age_key(self) -> tuple[str, str, str]:
        """Sorts the older object first: where two want the same thing, the one that was there keeps it."""
        return self.metadata.creation_timestamp, *self.key

    def unknown_spec_fields(self) -> tuple[str, ...]:
        """Paths such as `spec.healthChecks[0].foo` that are kept in the object and have no effect here."""
        return tuple(f"spec{path}" for path in _unknown_below(getattr(self, "spec", None)))


class ResourceRef(Model):
    """Names an object of a known kind in the same cluster."""

    name: str = Field(min_length=1, description="Name of the object.")
    namespace: str = Field("", description="Namespace of the object; empty means the namespace of the object that holds this reference.")


class ClusterObjectRef(Model):
    """Names an object in one of the registered clusters."""

    cluster_name: str = Field(min_length=1, description="Name of the KubernetesCluster in which the object is.")
    name: str = Field(min_length=1, description="Name of the object.")
    namespace: str = Field(min_length=1, description="Namespace of the object.")


def parse_duration(value: object, *, allowed: str = "zero or more") -> timedelta:
    """Protobuf's JSON form: seconds with up to nine decimals and an `s`. Raises ValueError, with the right spelling where it can be guessed."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        if re.fullmatch(DURATION_PATTERN, value):
            if (seconds := float(value[:-1])) > MAX_DURATION.total_seconds():
                raise ValueError(f'a duration of at most "{format_duration(MAX_DURATION)}"')
            return timedelta(seconds=seconds)
        other = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|m|h)", value)
        if other and (seconds := float(other[1]) * _OTHER_UNITS[other[2]]) <= MAX_DURATION.total_seconds():
            raise ValueError(f'a duration in seconds, here "{format_duration(timedelta(seconds=seconds))}"')
    raise ValueError(f'a duration of {allowed} in seconds, such as "1s" or "0.5s"')


def format_duration(value: timedelta) -> str:
    """`0.1s`; microseconds are the finest step."""
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def _duration(value: object) -> timedelta:
    return parse_duration(value)


def _positive_duration(value: object) -> timedelta:
    duration = parse_duration(value, allowed="more than zero")
    if duration <= timedelta(0):
        raise ValueError('a duration of more than zero in seconds, such as "1s" or "0.5s"')
    return duration


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
_AS_TEXT = PlainSerializer(format_duration, return_type=str)
Duration = Annotated[timedelta, BeforeValidator(_duration), _AS_TEXT, _DURATION_SCHEMA]
PositiveDuration = Annotated[timedelta, BeforeValidator(_positive_duration), _AS_TEXT, _DURATION_SCHEMA]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
PositiveUInt32 = Annotated[int, Field(ge=1, le=2**32 - 1)]
Percent = Annotated[int, Field(ge=0, le=100)]
Port = Annotated[int, Field(ge=1, le=65535)]
_LABEL = r"[0-9A-Za-z_]([-0-9A-Za-z_]{0,61}[0-9A-Za-z_])?"
Host = Annotated[str, Field(max_length=253, pattern=rf"^(({_LABEL}\.)*{_LABEL}\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)$")]
"""An IP address, or a host name that a resolver can be asked for."""


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Pydantic's errors as problems: field path, offending value, what is allowed."""
    found = error.errors(include_url=False)
    # A list whose items are bad is also called too short, as if they were not there.
    caused = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
    return tuple(
        Problem(_path(item["loc"]), _message(item["type"], item["msg"], item["input"]))
        for item in found
        if not (item["type"] == "too_short" and item["loc"] in caused)
    )


def _path(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "object"


def _message(kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is not supported here, and ignoring it would serve more or check less than was asked for; remove it"
    if kind == "value_error" and not isinstance(value, str | int | float):
        return message.removeprefix("Value error, ")
    allowed = message.removeprefix("Value error, ").replace("Input should be ", "").replace("greater than or equal to", "at least")
    return f"{_shown(value)} is not allowed: {allowed[0].lower()}{allowed[1:]}"


def _shown(value: object) -> str:
    """Plain values as JSON has them; of anything else the type alone, for it may hold what nobody should read in a status."""
    return json.dumps(value) if isinstance(value, str | int | float) or value is None else f"a {type(value).__name__}"


_CONTAINERS = (Model, list, tuple, dict)


def _unknown_below(value: object) -> list[str]:
    if isinstance(value, Model):
        return value.unknown_fields()
    if isinstance(value, list | tuple):
        return [f"[{index}]{path}" for index, item in enumerate(value) if isinstance(item, _CONTAINERS) for path in _unknown_below(item)]
    if isinstance(value, dict):
        return [f".{key}{path}" for key, item in value.items() if isinstance(item, _CONTAINERS) for path in _unknown_below(item)]
    return []
