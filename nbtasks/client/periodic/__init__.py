"""Periodic tasks as users hold them: made, declared by a project, looked at, paused, removed."""
