"""Builds video-matting datasets from real video; see the README for the two commands.

sources -> shard_job (matting, quality, dataset) -> runtime -> cli
"""

__version__ = "0.1.0"
