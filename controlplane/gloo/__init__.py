"""`gloo`: one per cluster. Discovers Upstreams, translates what the cluster holds, publishes it to the proxies, writes status."""
