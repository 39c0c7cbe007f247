"""From files on disk to a CT in HU on one grid: DICOM, NRRD, MHA, NIfTI."""
