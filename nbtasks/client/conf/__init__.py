"""An App's configuration: what it is told beside its calls, under Celery's names."""
