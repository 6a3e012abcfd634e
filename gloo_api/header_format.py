"""Header values as Envoy reads them: a value that is added to a request or an answer is a format, and a bad one makes Envoy refuse all around it.

What is allowed is less than what Envoy knows: `%%` for a percent sign, the commands below, and headers of the request or the answer.
"""

from __future__ import annotations

import re

COMMANDS = (
    "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_ID", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_LOCAL_PORT", "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN", "DOWNSTREAM_PEER_CERT", "DOWNSTREAM_PEER_CERT_V_END", "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_ISSUER", "DOWNSTREAM_PEER_SERIAL", "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN", "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID", "DOWNSTREAM_TLS_VERSION", "DURATION", "HOSTNAME", "PROTOCOL", "REQUESTED_SERVER_NAME", "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS", "RESPONSE_FLAGS", "ROUTE_NAME", "START_TIME", "STREAM_ID", "UPSTREAM_CLUSTER", "UPSTREAM_HOST",
    "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "VIRTUAL_CLUSTER_NAME",
)  # fmt: skip
_HEADER = r"(?:REQ|RESP)\(:?[A-Za-z0-9_-]+(?:\?:?[A-Za-z0-9_-]+)?\)(?::[0-9]{1,5})?"
_FORMAT = re.compile(rf"(?:[^%]|%%|%(?:{'|'.join(COMMANDS)}|{_HEADER})%)*")


ALLOWED = "a percent sign is written %%; between two percent signs a name such as HOSTNAME, or REQ(name) for a header of the request"


def valid(value: str) -> bool:
    """Whether Envoy takes a value; False too where it might, as the command is unknown here."""
    return "%" not in value or _FORMAT.fullmatch(value) is not None
