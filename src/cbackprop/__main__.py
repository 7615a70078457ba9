"""The command ``cbackprop``, run as ``python -m cbackprop``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
