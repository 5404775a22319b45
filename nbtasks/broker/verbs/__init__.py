"""What every broker does for the rest of the program: a protocol for each group of verbs, and what they are told."""
