"""Scoring of a file or a table of any size: docs/scoring.md.

`ingest` cuts the input into parts of some ten thousand rows, kept in MLflow, so that nothing later depends on the input staying as it was, and no step but
that one has to reach it. `score` works on parts, each by itself: read, check, answer, write, tell control. What control knows of is done, and is not done
again. Never is more than a part in a process's memory.
"""
