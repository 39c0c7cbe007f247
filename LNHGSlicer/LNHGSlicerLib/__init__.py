"""What of LNHG needs a Slicer, the application or its library alone."""

# ruff: noqa: N999 - Slicer's style for the folder beside a module file
