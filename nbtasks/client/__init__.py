"""Define tasks, submit calls, watch results."""
