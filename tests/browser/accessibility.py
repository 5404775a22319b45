"""What axe-core finds on a page that keeps people out who see, hear or move otherwise."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe


def assert_accessible(page, selector=".nbt-card"):
    """No rule of axe-core is violated within what ``selector`` finds."""
    found = Axe().run(page, context=[selector]).response
    assert found["passes"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
