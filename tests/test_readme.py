"""The README's cells, run as they stand there: they print what it says they print."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat.v4
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# The pages come from a small server on this machine.
SERVER = """
import http.server, threading

class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode() * 10_000)
    def log_message(self, *_):
        pass

pages_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
threading.Thread(target=pages_server.serve_forever, daemon=True).start()
"""
ELSEWHERE = "https://docs.python.org"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def without_numbers(text: str) -> str:
    """The text with every time and size replaced: no two runs take the same time, and these pages are others."""
    return re.sub(r"\d+\.\d+ (s|million)\b", r"N \1", text.strip())


@pytest.mark.kernel
def test_the_cells_print_what_the_readme_says(run_folder: Path) -> None:
    """Cells as they stand, but for the server that they ask; the output of one is a card, shown as a picture."""
    sources = [SERVER, *blocks("python")]
    assert ELSEWHERE in sources[2]
    sources[2] = (
        f"port = pages_server.server_port\n{sources[2].replace(ELSEWHERE, 'http://127.0.0.1:{port}')}"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(run_folder)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()

    _, start, _, fan_out, use = (cell.outputs for cell in notebook.cells)
    said, result = blocks("")
    assert without_numbers(start[0]["text"]) == without_numbers(said)
    assert "fetch the pages: done, " in fan_out[-1]["data"]["text/plain"]
    assert without_numbers(use[0]["text"]) == without_numbers(result)
