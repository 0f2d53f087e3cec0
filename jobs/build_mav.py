"""``ray job submit --working-dir . -- python jobs/build_mav.py source.root=... output.root=...``

The same as ``mav build runtime=ray``, from a working directory in which nothing is installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mav_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["build", "runtime=ray", *sys.argv[1:]]))
