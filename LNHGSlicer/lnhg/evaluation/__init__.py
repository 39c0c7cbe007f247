"""Measures of label maps and detections against references."""
