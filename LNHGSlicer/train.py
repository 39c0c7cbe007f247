"""Headless training: `python train.py generator ...` is `lnhg train generator ...`."""

import sys

from lnhg.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
