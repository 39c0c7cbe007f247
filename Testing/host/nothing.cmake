# Stands for Slicer's files that an extension includes.
