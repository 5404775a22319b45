"""Text from somewhere else, shown as text: it gives no terminal an order, and it looks like no other line."""

from __future__ import annotations


def on_one_line(text: str, most: int = 200) -> str:
    """Return ``text`` with everything escaped that is not printable, at most ``most`` characters of it."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )
