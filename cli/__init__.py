"""What `make` calls: brings the stack up and down, breaks and heals the blue app, and watches who answers.

Everything here goes through public doors (the Pulumi CLI, stack outputs, kubectl, HTTP), so whatever it does a user can do by hand; it holds no
knowledge of how the clusters or the control plane work.
"""
