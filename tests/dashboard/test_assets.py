"""What the dashboard is made of: one script and one style sheet that need neither Jupyter nor the network."""

from __future__ import annotations

import re
import subprocess
import sys

from nbtasks.dashboard import assets


def test_script_and_style_are_whole():
    assert "__TABLES__" not in assets.script()
    assert '"word": "running"' in assets.script()
    assert "export const start" in assets.script()
    assert "--nbt-success:rgba(" in assets.style()
    assert re.fullmatch("[0-9a-f]{16}", assets.version())


def test_nothing_is_loaded_from_elsewhere_and_no_text_becomes_html():
    """The page's content security policy forbids it, and texts are other people's."""
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", assets.script() + assets.style()))
    assert addresses == {"http://www.w3.org"}
    found = re.findall(
        r"innerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write|@import", assets.script()
    )
    assert not found
    assert "url(" not in assets.style()


def test_they_need_no_jupyter():
    program = "import sys; from nbtasks.dashboard import assets; assets.version(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"nbtasks.jupyter", "IPython", "anywidget"} & set(run.stdout.split())
