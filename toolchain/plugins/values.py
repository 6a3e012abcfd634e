"""Property values as the engine sends them, and as the stand-in providers (machines without the official plugins) use them.

On the wire a secret is a struct with a signature and an unknown is a reserved string. Here they are `Secret` and `UNKNOWN`, everything else is a
plain Python value. The SDK has a class for this, `pulumi.provider.experimental.property_value.PropertyValue`, but it reads an unknown as an
ordinary string: a provider built on it cannot tell that a value is not known yet.

Assets and archives are passed through unread: no property of the resources here takes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's constant, in every Pulumi SDK

# One constant for each type of value that is not known yet; a provider may answer with the first for any type.
UNKNOWN_STRINGS: Final = (
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
    "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
    "e48ece36-62e2-4504-bad9-02848725956a",  # archive
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
)

Properties = dict[str, Any]
"""Property name in camelCase to value: None, bool, int, float, str, list, dict, `Secret` or `UNKNOWN`."""


class Unknown(Enum):
    """The type of `UNKNOWN`, a value that exists only after an update."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in the state and hides from the user. `repr` hides it too, so that no traceback can show it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret([secret])"


def read(message: struct_pb2.Struct) -> Properties:
    """Properties from the wire."""
    return {name: _read_value(value) for name, value in message.fields.items()}


def write(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties for the wire. Raises TypeError for a value that Pulumi has no type for."""
    return struct_pb2.Struct(fields={name: _write_value(value) for name, value in properties.items()})


def plain(value: Any) -> Any:
    """The same value without its secret marks, at any depth."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def contains_secret(value: Any) -> bool:
    """Whether the value, or any part of it, is secret."""
    return isinstance(value, Secret) or any(contains_secret(item) for item in _parts(value))


def contains_unknown(value: Any) -> bool:
    """Whether the value, or any part of it, is not known yet."""
    return value is UNKNOWN or any(contains_unknown(item) for item in _parts(value))


def secret_texts(value: Any, *, inside: bool = False) -> Iterator[str]:
    """Every string that lies within a secret."""
    inside = inside or isinstance(value, Secret)
    if inside and isinstance(value, str):
        yield value
    for item in _parts(value):
        yield from secret_texts(item, inside=inside)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Secret):
        return [value.value]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _read_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
        case "list_value":
            return [_read_value(item) for item in value.list_value.values]
        case "struct_value":
            fields = value.struct_value.fields
            if fields[SIGNATURE_KEY].string_value == SECRET_SIGNATURE if SIGNATURE_KEY in fields else False:
                return Secret(_read_value(fields["value"]))
            return read(value.struct_value)
    return None


def _write_value(value: Any) -> struct_pb2.Value:
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Unknown():
            return struct_pb2.Value(string_value=UNKNOWN_STRINGS[0])
        case Secret():
            return struct_pb2.Value(struct_value=write({SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}))
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_write_value(item) for item in value]))
        case Mapping():
            return struct_pb2.Value(struct_value=write(value))
    raise TypeError(f"a property cannot hold a {type(value).__name__}")
