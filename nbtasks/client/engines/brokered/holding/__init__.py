"""Locks for code of this process, as a broker keeps them: taken, waited for, held by a lease."""
