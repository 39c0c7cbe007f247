"""The nodules of one patient through several studies, in the order of use.

study: a CT, results or a reviewed scene as one study: whose it is, and when it was made
registration: the lungs of two studies laid on each other, and how far off they are
matching: which nodule is which
looking: a nodule of one study looked for in the other with a seed
growth, change: what changed, and what the guidelines call growth
comparisons: what the categories ask of it
fit, person, words, read_back: what of it the Slicer module needs, without networks and registration
follow: the order of all of it
report, written: what a reader gets, and the files
"""
