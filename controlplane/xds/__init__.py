"""Configuration for Envoy over xDS: snapshots, their cache, and the ADS server.

Names and behaviour follow go-control-plane, whose vocabulary reviewers know. Nothing here knows Gloo's objects or Kubernetes: what goes in is
named protobuf messages, what comes out is what each connected Envoy was sent, accepted and refused.
"""
