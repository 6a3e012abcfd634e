"""The control plane's image: built by the Docker of this machine, and brought into kind clusters. The `dev` stack runs it as a command.

The name of an image holds a fingerprint of everything that it is made of, so one that is there is never built again, and pods start anew when it is
another one. It pushes to no registry, and knows nothing of Pulumi.
"""
