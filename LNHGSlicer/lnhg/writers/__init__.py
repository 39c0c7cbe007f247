"""From a result to files: label maps, table, record, report, pictures, DICOM; and results read back."""
