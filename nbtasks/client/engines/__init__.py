"""What brings calls to workers: a folder for each engine. What is asked of them all stands in batches/engine.py."""
