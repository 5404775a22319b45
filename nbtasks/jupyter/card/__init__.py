"""The card: a batch folded into a view, live and as it is saved."""
