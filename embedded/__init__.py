"""Kubernetes without containers: real API servers as ordinary processes of one user, on loopback addresses.

This package is the launcher and the supervisor (`python -m embedded`). The node agent that runs pods as processes is the Go module in `node/`.
Nothing here knows about Gloo or about Pulumi; `service_failover/` calls the command line and reads the kubeconfig that it prints.
"""
