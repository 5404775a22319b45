"""The engine of Apps with a broker: a session wires what sends, what receives and what asks the server."""
