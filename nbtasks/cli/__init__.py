"""What a person types into a terminal."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends with SystemExit."""
    # click takes 40 ms, which nobody shall pay who only imports this package.
    from .command import nbtasks

    nbtasks(prog_name="nbtasks")
