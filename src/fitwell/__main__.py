"""``python -m fitwell``: the commands of ``fitwell``, by the Python that they are to run in."""

import sys

from fitwell.cli import main

if __name__ == "__main__":
    sys.exit(main())
