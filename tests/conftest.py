"""One google.rpc.Status for all tests: Pulumi's SDK and googleapis both bring it, under two file names, and protobuf takes only one in a process.

Outside of the tests no process loads both: components are hosted by one, Envoy's messages are spoken by another.
"""

from __future__ import annotations

import sys

from google.rpc import status_pb2

sys.modules.setdefault("pulumi.runtime.proto.status_pb2", status_pb2)
