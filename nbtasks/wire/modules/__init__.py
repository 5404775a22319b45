"""Local modules: found, sent as their sources in the versions that are meant, and run once per version."""
