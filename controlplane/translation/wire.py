"""Small conversions that every message needs. No rule about what to emit is here."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from functools import cache, lru_cache

from envoy.config.core.v3 import address_pb2, config_source_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from google.protobuf.message import Message


def pack(message: Message) -> any_pb2.Any:
    """A typed_config. Deterministic, so that equal content has equal bytes."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


@lru_cache(maxsize=4096)
def duration(value: timedelta) -> duration_pb2.Duration:
    """To be copied, as protobuf does wherever a message is put into another: equal values share one message."""
    result = duration_pb2.Duration()
    result.FromTimedelta(value)
    return result


def optional_duration(value: timedelta | None) -> duration_pb2.Duration | None:
    return None if value is None else duration(value)


def uint32(value: int) -> wrappers_pb2.UInt32Value:
    return wrappers_pb2.UInt32Value(value=value)


def optional_uint32(value: int | None) -> wrappers_pb2.UInt32Value | None:
    return None if value is None else uint32(value)


def boolean(value: bool) -> wrappers_pb2.BoolValue:
    return wrappers_pb2.BoolValue(value=value)


@cache
def ads() -> config_source_pb2.ConfigSource:
    """The stream that brought this very resource. To be copied."""
    return config_source_pb2.ConfigSource(ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3)


def socket_address(host: str, port: int, *, ipv4_compat: bool = False) -> address_pb2.Address:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port, ipv4_compat=ipv4_compat))


@lru_cache(maxsize=65536)
def is_ip(host: str) -> bool:
    """Whether Envoy takes it for an address; with a zone (`fe80::1%eth0`) it does not."""
    if "%" in host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
