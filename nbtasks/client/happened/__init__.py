"""What has happened to calls and workers, whoever submitted them: the stream of events, read."""
