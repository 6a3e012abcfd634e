"""The Kubernetes side of the control plane: a small client, informers that never give up, and writers that write only what changed.

Objects are plain JSON dictionaries, as the API server sends them; their meaning belongs to the models in `gloo_api`.
"""
