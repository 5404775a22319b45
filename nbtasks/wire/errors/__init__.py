"""Exceptions and tracebacks as data, and back."""
