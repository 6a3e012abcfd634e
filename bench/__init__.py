"""Benchmarks of the control plane and of failover itself, each against a named alternative in the same run.

They start what they measure (an embedded cluster, gloo, Envoys) in a temporary directory, put load on loopback only, and leave nothing behind. What
a figure means, and what was measured, is in docs/benchmarks.md.
"""
