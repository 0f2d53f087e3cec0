"""Pixels and tables as bytes, and back: video, images, masks, working sizes, parquet."""
