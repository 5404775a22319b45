"""Runs beside each other: many handles as one list, single calls as one run, and how a terminal shows them."""
