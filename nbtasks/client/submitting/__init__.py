"""From a function and arguments to a batch: captured, packed, cut into chunks."""
