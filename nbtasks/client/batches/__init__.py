"""The live records of what was submitted."""
