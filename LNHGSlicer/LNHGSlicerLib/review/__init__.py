"""What a reader does with the nodules: verdicts, edits, added nodules, the reader study, export."""
