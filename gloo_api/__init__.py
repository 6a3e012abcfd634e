"""Typed models of the Gloo resources: the one source of their fields, from which the CRDs are generated.

It imports nothing of ours, so that the program, the control plane and tests all may use it.
"""
