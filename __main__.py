"""``python -m curvezoo`` is the ``curvezoo`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
