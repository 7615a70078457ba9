"""Lets ``python -m cbackprop`` do what the command ``cbackprop`` does."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
