"""`python -m typestream`."""

import sys

from typestream.cli import main

if __name__ == "__main__":
    sys.exit(main())
