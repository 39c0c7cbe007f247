"""The headless training script: `python -m lnhg.train generator ...` is `lnhg train generator ...`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
