"""Locks and semaphores for code: held by a block, in a call, a notebook or a script."""
