"""SQLite, and MariaDB or MySQL: queue and store in one. docs/internals/sql.md says how it is built, and why."""
