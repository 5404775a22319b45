"""Compositions: signatures, chains, groups and chords; compiled into the plan of a workflow, run here or submitted."""

# All kinds at once: a signature is joined with others, and rebuilt, by those that know all of them.
from . import sequence as sequence
