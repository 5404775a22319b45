"""The engine of ``App(engine=...)``: any executor of concurrent.futures runs the calls, and nothing else is needed."""
