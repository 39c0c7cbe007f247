"""The stages of a run, in their order; `pipeline.py` calls them.

1. `axial`: the CT with slices running feet to head, whatever its orientation.
2. `lungs`: where the lungs are; `lying`: whether the patient lies as the header says.
3. `detection`: the detector's boxes in each slice, linked to candidates; `seeds` are candidates that a person gives;
   `mass_candidates`: those in the middle of a mass become as wide as the mass.
4. `generation`: the nodule image G(x) around the candidates or everywhere; `mass_images`: masses, on a coarser grid;
   `cavities` are filled for it, and shown as they are afterwards.
5. `fusion`: which parts of G(x) are nodules; `regions` restrict them to what was asked for.
6. `heterogeneity_maps`: the map of the kind that is asked for: `heterogeneity_from_ct` (the default; `scan_noise`),
   `heterogeneity_from_generator` (the paper's h(x) from G(x)) or `heterogeneity_from_twin`; `heterogeneity_figures`
   sums a map up, `heterogeneity_legend` says in words what its colours are.
7. `measurement`: the table, one row a nodule: `components` (solid, ground glass, air, calcium, fat), `contacts` (pleura
   and vessels), `place` (lobe, third of the lung), `benign_hints`, `edge_volume`, `size_intervals` (uncertainty).

`provenance` is what a result was made with.
"""
