"""The stream of events that a broker keeps, read for those who look on: verified, in order, each once."""
