"""Many runs as one list: which runs of a cell share one, what it says, live and saved; each row opens to its card."""
