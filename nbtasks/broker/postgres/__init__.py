"""PostgreSQL: queue and store in one. docs/internals/postgresql.md says how it is built, and why."""
