"""What of LNHG needs a Slicer, the application or its library alone."""
