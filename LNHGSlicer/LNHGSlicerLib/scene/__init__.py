"""Results as nodes of the scene: segmentation, map, table, layers, views."""
