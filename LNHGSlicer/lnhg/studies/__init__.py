"""What the paper compares: outlines, detection, repeatability, meaning and stability, as tables, figures and one
page.
"""
