"""`gloo-fed`: one in the management cluster. Watches the registered clusters, describes each as a GlooInstance, turns FailoverSchemes into `spec.failover`."""
