"""`python -m tensorwire`: the same as the program `tensorwire`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
