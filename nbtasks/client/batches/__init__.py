"""Ledgers, which say what is seen of a batch, and parcels, which hold what was sent of it."""
