"""kind clusters (Kubernetes in Docker): what is asked of `kind` and `docker`, and what their answers mean.

The component is `service_failover.clusters.kind`. Here is what it stands on: the document that describes a cluster, the commands of its life, whose
the clusters are that are there already, and whether this machine can have more of them. Only `machine` and `nodes` run anything.
"""
