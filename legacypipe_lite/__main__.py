"""``python -m legacypipe_lite``: the command legacypipe-lite."""

import sys

from .cli.main import main

sys.exit(main())
