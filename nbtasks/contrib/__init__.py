"""Bridges to libraries of others; each needs its library."""
