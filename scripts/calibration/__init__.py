"""Calibrates the quality of a matte against known truth: ``python -m scripts.calibration``.

sources -> subjects -> cases (backends, damages) -> rows and points, kept in a working folder
points -> networks (expected error of single pixels)
rows -> fit (weights) -> judge (left-out sources, unseen damages) -> gate -> page, pictures
"""
