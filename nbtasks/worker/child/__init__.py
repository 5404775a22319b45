"""The child process: takes jobs, runs them, tells."""
