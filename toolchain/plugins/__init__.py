"""Stand-ins for the Pulumi plugins that no package registry carries: the Python language host and the tls and command providers.

They exist only for machines that cannot reach the official releases; where the official plugin can be had, it is used. They speak the same
protocol, own the same resource types and behave the same in preview, update, refresh and destroy. What they do not support they refuse, naming the
property; nothing is ignored.

They are installed into the embedded stack's own Pulumi home, never into the user's.
"""
