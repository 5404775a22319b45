"""The handles of calls, where Celery has them: ``from nbtasks.result import AsyncResult``."""

from nbtasks.client.eager import EagerResult
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.resultset import ResultSet

__all__ = ["AsyncResult", "EagerResult", "GroupResult", "ResultSet"]
