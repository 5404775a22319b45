"""``python -m nbtasks``: the same as the command ``nbtasks``."""

from __future__ import annotations

from nbtasks.cli import main

if __name__ == "__main__":
    main()
