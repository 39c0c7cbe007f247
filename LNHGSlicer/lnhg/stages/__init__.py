"""The stages of a run, in their order; `pipeline.py` calls them.

1. `axial`: the CT with slices running feet to head, whatever its orientation.
2. `lungs`: where the lungs are.
3. `detection`: the detector's boxes in each slice, linked to candidates; `seeds` are candidates that a person gives.
4. `generation`: the nodule image G(x) around the candidates or everywhere; `masses` are looked at on a coarser grid.
5. `fusion`: which parts of G(x) are nodules; `regions` restrict them to what was asked for.
6. `heterogeneity`: the map h(x) from G(x).
7. `measurement`: the table, one row a nodule.
"""
