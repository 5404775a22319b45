"""The movement of bytes: only this room speaks Redis. It never looks inside a frame."""
