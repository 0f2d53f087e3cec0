"""The set on disk: samples into shards, rows into manifests, receipts that make them exist.

codec (one sample) -> shards (tar) + manifest (rows) -> receipts (commit, sweep) -> built, final
"""
