"""nbtasks beside its peers: the same work, in one run, each library in an environment of its own.

``python -m benchmarks`` runs it; ``docs/benchmarks.md`` says what is measured and how.
"""
