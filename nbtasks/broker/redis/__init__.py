"""Redis and Valkey: the leg that speaks their protocol."""
