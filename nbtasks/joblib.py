"""Import this, and joblib knows the backend ``nbtasks``: ``joblib.parallel_config("nbtasks")``."""

from nbtasks.client.futures.joblibbackend import TasksBackend

__all__ = ["TasksBackend"]
