"""Gloo Enterprise and Gloo Federation of Solo.io, by their Helm charts, with the licence key of whoever uses them.

Written from what is public: the charts' documented values, Gloo's open API and the open-source chart that the enterprise one contains.
"""
