"""Who serves: asks the proxies how their endpoints are, works out which priority serves and why, and writes it to the Upstreams.

Failover does not need any of this: Envoy switches by itself. This only says what Envoy did.
"""
