"""A built set against ground truth: how far its mattes are off, and where.

    BuiltSet -> alpha of each stored masklet ---\\
    truth    -> its frames, in one of 3 layouts --> run -> result (values, json, csv, table)
                                     strata -----/         plot (png)

Whatever cannot be compared is named and counted as a problem, never averaged away.
"""

from mav_pipeline.evaluate.result import Evaluation
from mav_pipeline.evaluate.run import evaluate
from mav_pipeline.evaluate.truth import Truth

__all__ = ["Evaluation", "Truth", "evaluate"]
