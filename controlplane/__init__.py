"""The open, Gloo-compatible control plane: `gloo` in each cluster, `gloo-fed` in the management cluster.

`python -m controlplane` starts them. Pure translation is in `translation/`, the xDS server in `xds/`, Kubernetes in `kube/`; `gloo/` and `fed/` are
the loops that connect these. Failover itself needs none of it at run time: Envoy does that alone.
"""

VERSION = "0.1.0"
"""Version of the control plane: that of the project, which a test holds equal to pyproject.toml."""
