"""``ray job submit --working-dir . -- python jobs/verify.py output.root=... verify.deep=true``"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mav_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
