"""The method run beside Slicer: background process, installation, parameters."""
