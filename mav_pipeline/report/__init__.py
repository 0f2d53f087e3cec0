"""The report of a set: one page that needs nothing but a browser.

    BuiltSet -> choose -> sheets <- pictures <- shown -\\
                bounds -> charts ----------------------> page -> report/index.html

The same set gives the same bytes.
"""

from mav_pipeline.report.page import write_report

__all__ = ["write_report"]
