"""Calibrates the quality of a matte against known truth: ``python -m scripts.calibration``.

sources -> subjects -> cases (backends, damages) -> rows, kept in a working folder
rows -> fit (weights) -> judge (left-out sources, unseen damages) -> gate -> page, pictures
"""
