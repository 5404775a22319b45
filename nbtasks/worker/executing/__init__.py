"""Calls run: in the main thread, in threads, in an event loop; and they are stopped."""
