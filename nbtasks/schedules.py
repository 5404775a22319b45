"""When a periodic task is due: Celery's ``celery.schedules``."""

from nbtasks.core.due.crontab import crontab
from nbtasks.core.due.interval import schedule
from nbtasks.core.due.solar import solar

__all__ = ["crontab", "schedule", "solar"]
