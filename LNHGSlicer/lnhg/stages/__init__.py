"""The stages of a run, in their order; `pipeline.py` calls them.

1. `axial`: the CT with slices running feet to head, whatever its orientation.
2. `lungs`: where the lungs are.
3. `detection`: the detector's boxes in each slice, linked to candidates; `seeds` are candidates that a person gives;
   `inside_masses`: those in the middle of a mass become as wide as the mass.
4. `generation`: the nodule image G(x) around the candidates or everywhere; `masses` are looked at on a coarser grid.
5. `fusion`: which parts of G(x) are nodules; `regions` restrict them to what was asked for.
6. `maps`: the map of a kind: `deviation` (the default, from the CT alone; `scan_noise`), `heterogeneity` (the paper's
   h(x) from G(x), and the figures of any map) or `twin`; `map_legend` says in words what its colours are.
7. `measurement`: the table, one row a nodule: `components` (solid, ground glass, air, calcium, fat), `contacts` (pleura
   and vessels), `place` (lobe, third of the lung), `benign_hints`, `edge_volume`, `size_intervals` (uncertainty).

`provenance` is what a result was made with.
"""
