"""Live lists of runs and of workers: what they say, and how they are kept up to date."""
