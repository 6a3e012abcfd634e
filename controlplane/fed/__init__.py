"""`gloo-fed`: one in the management cluster.

Watches the registered clusters, describes each as a GlooInstance, and turns FailoverSchemes into `spec.failover` of their primaries.
"""
