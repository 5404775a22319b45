"""The meaning of bytes: only this room pickles, only this room signs."""
