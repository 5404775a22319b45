"""Import this, and joblib knows the backend ``nbtasks``: ``joblib.parallel_config("nbtasks")``."""

from nbtasks.client.futures.joblibbackend import TasksBackend, register

__all__ = ["TasksBackend", "register"]

register()
