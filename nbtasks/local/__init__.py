"""Bring up what is missing on this machine: the embedded server, local workers, the key, the connection."""
