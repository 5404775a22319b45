"""Worker processes of this machine: started, watched, replaced."""
