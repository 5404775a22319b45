"""``%%task``, ``%task``, ``%tasks``, ``%workers``: what is typed, and what it does."""
