"""What brings references to calls from one process to another, while the calls themselves stay in a ledger."""
