"""Calibrates the quality of a matte against known truth: ``python -m scripts.calibration``."""
