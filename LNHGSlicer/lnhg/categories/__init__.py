"""Categories of guidelines, as a proposal to the reader, who decides: pure functions of what was measured and answered.

category: a category with its reasons, and what would change it
facts: what of a nodule the guidelines ask for
lung_rads, fleischner, bts: one document each
brock: the probability of cancer that BTS asks for
proposals: the categories of a result's nodules
dictation: the sentence that a radiologist would dictate
"""
