"""The paper's own figures (Tables I and II, Supplementary S2), to stand beside ours: other data, other protocol.

Systems go by the names of `systems.OWN_SYSTEMS`, and `nodulenet`, `nnu-net`.
"""

from __future__ import annotations

#: The names that the paper prints.
TITLES = {
    "lnhg": "LNHG",
    "unet": "U-net",
    "nodulenet": "NoduleNet",
    "nnu-net": "nnU-net",
    "l-mse": "L-MSE",
    "l-vgg": "L-VGG",
    "l-rf": "L-RF",
}

#: Table I: mean Dice %, training, test.
DICE = {
    "lnhg": (87.30, 82.05),
    "unet": (92.88, 83.45),
    "nodulenet": (86.39, 81.22),
    "nnu-net": (76.90, 73.25),
    "l-mse": (72.12, 68.36),
    "l-vgg": (73.81, 69.65),
}

#: Table II: mean Dice % by type; the last column is the mean of L-MSE and L-VGG.
TYPES = {
    "solid": (83.96, 84.32, 73.37, 67.02),
    "juxta-pleural": (82.30, 82.20, 72.20, 69.30),
    "juxta-vascular": (81.02, 82.52, 72.96, 70.20),
    "ground glass": (82.88, 83.33, 73.01, 66.18),
}
TYPES_SYSTEMS = ("LNHG", "U-net", "nnU-net", "L-MSE and L-VGG")

#: Supplementary S2, counted by eye on the external slices: TP, FP, FN as printed (L-RF's FN is a misprint for 20).
DETECTION = {
    "lnhg": (422, 75, 8),
    "unet": (412, 204, 18),
    "nodulenet": (418, 83, 12),
    "nnu-net": (401, 155, 29),
    "l-rf": (410, 363, 363),
}
#: Precision, recall and F1, %, as printed.
DETECTION_RATES = {
    "lnhg": (85.0, 98.1, 91.0),
    "unet": (66.9, 95.8, 78.8),
    "nodulenet": (83.4, 97.0, 89.6),
    "nnu-net": (72.1, 93.3, 81.3),
    "l-rf": (53.0, 95.3, 68.1),
}
