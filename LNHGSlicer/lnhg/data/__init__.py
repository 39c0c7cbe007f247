"""Development data on disk: sources, the cache, cut-outs, whole scans, and who is trained on."""
