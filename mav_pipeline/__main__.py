"""``python -m mav_pipeline``."""

import sys

from mav_pipeline.cli import main

sys.exit(main())
