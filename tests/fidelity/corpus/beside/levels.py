from pathlib import Path

LEVEL = Path("level.txt").read_text()
