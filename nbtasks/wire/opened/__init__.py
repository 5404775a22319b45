"""A function as a worker has it: opened, lent to one call at a time, and put back as it came."""
