"""A traceback on a card reads as in the notebook, and its carets stand below what they mark."""

import pytest

from nbtasks.jupyter import cellnames
from nbtasks.jupyter.card import board
from nbtasks.jupyter.card.tracebacktext import COLUMNS, readable

from .records import fail, make_batch

KERNELS = "/tmp/ipykernel_7/123.py"


class Compiler:
    _filename_map = {KERNELS: 4}


class Shell:
    compile = Compiler()


@pytest.fixture(autouse=True)
def known():
    known = cellnames.learn(Shell())
    yield
    cellnames.forget(known)


def test_cells_have_their_names():
    files = (("<ipython-input-2-55664>", 5, "cell"), (KERNELS, 8, "f"), ("/x/y.py", 1, "g"))
    text = "\n".join(f'  File "{file}", line {line}, in {name}' for file, line, name in files)
    assert readable(text).split("\n") == [
        "  Cell In[2], line 5, in cell",
        "  Cell In[4], line 8, in f",
        '  File "/x/y.py", line 1, in g',
    ]


def test_what_a_warning_has_written_names_the_cell():
    assert (
        cellnames.in_cells(f"{KERNELS}:8: DeprecationWarning: old")
        == "Cell In[4], line 8: DeprecationWarning: old"
    )
    assert cellnames.in_cells("/x/y.py:8: UserWarning: x") == "/x/y.py:8: UserWarning: x"
    assert cellnames.in_cells("12:30: Warning signs") == "12:30: Warning signs"


@pytest.mark.parametrize("before", [0, 20, 90, 400])
def test_a_long_line_is_cut_around_what_is_marked(before):
    code = f"    {'a + ' * (before // 4)}row['total'] * {'b * ' * 60}c"
    at = code.index("row[")
    lines = readable(f"{code}\n{' ' * at}~~~^^^^^^^^^").split("\n")
    line, carets = lines
    assert all(len(line) <= COLUMNS for line in lines)
    marked = slice(len(carets) - len(carets.lstrip()), len(carets))
    assert line[marked] == "row['total']"


def test_what_is_marked_may_be_longer_than_a_line():
    code = "    f(" + ", ".join(f"argument_{n}" for n in range(30)) + ")"
    lines = readable(f"{code}\n    {'^' * (len(code) - 4)}").split("\n")
    assert all(len(line) <= COLUMNS for line in lines)
    assert lines[1] == "    " + "^" * (COLUMNS - 12)


def test_a_long_message_is_wrapped_whole():
    message = "ValueError: " + "x" * 500
    shown = readable(message)
    assert shown.replace("\n", "") == message
    assert max(map(len, shown.split("\n"))) <= COLUMNS


def test_a_card_shows_it_so():
    batch = make_batch(1)
    fail(batch, ValueError("x" * 300), 0)
    (group,) = board.Board(batch).fold(1001.0).failures
    assert max(map(len, group.traceback.split("\n"))) <= max(COLUMNS, len(__file__) + 40)
