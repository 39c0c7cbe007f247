"""Many scans: finding them, and running the method on them with Dask."""
