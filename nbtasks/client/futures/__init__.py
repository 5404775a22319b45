"""``app.executor()``: what workers run, with the interface of ``concurrent.futures``."""
