"""From resource models to Envoy's protobuf messages: pure functions, a file for each noun. No I/O, no clock, no state between calls."""

from controlplane.translation.gloo import translate

__all__ = ["translate"]
