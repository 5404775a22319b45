"""Compositions: signatures, chains, groups and chords; compiled into the plan of a workflow, run here or submitted."""
