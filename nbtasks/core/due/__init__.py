"""When something is due: crontab patterns, intervals, and the time zones that they are meant in."""
