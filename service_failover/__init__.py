"""The nouns of the Service Failover guide, each a Pulumi component with its own file.

A component lives in one cluster and takes that cluster's provider through its options; it reads no stack configuration
(`service_failover.config` does, once) and can be used from any other Pulumi program. The manifests are written as plain functions
(`*_spec`, `*_rules`, `bootstrap`, ...) in the vocabulary of Kubernetes, Gloo and Envoy; the component classes only give them a place, an order and
an owner.
"""
