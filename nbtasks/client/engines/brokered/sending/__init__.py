"""From a batch to the broker: what waits to be sent, and in which flush it goes."""
