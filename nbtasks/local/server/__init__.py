"""The embedded server: started, kept, found again, reachable from other machines."""
