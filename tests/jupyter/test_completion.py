"""What TAB offers on the line of a magic."""

import pytest

from nbtasks.jupyter.magics.completion import complete_line


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%task --retr", ["--retries", "--retry-delay", "--retry-on"]),
        ("%%task -q ", ["books", "default"]),
        ("%%task --queue b", ["books"]),
        ("%%task --priority ", ["low", "normal", "high"]),
        ("%%task --on-error ", ["raise", "keep", "stop"]),
        ("%%task --nonsense", []),
        ("%task -b --qui", ["--quiet"]),
        ("%tasks ", ["all", "attach", "cancel", "debug"]),
        ("%workers sto", ["stop"]),
        ("%workers start -", ["--concurrency", "--env", "--keep", "--max-memory-per-child"]),
        ("%workers start 2 --thr", ["--threads"]),
        ("%workers start -q ", ["books", "default"]),
        ("%workers start -P s", ["solo"]),
        ("%workers start ", []),
        ("%workers invite --l", ["--listen"]),
        ("%workers uninvite --", []),
        ("%tasks cancel ", ["98ff56", "35e660", "all"]),
        ("%tasks retry f", ["failed"]),
        ("%tasks attach 9", ["98ff56"]),
        ("%tasks attach --", ["--last"]),
        ("%tasks 3", ["35e660"]),
        ("%tasks cancel ab", []),
        # nothing of ours: IPython's own completion has its turn
        ("%%task", None),
        ("%%task for u in ur", None),
        ("%%task -b for u in urls[--x", None),
        ("%task f(x", None),
        ("%%task --retries 3", None),
        ("%%task --timeout ", None),
        ("%timeit --x", None),
        ("x = --y", None),
        ("", None),
    ],
)
def test_complete_line(line, offered):
    found = complete_line(line, lambda: {"default", "books"}, lambda: ["98ff56", "35e660"])
    assert (found[: len(offered)] if found else found) == offered


def test_an_empty_word_offers_all_options_of_a_cell():
    assert "--retries" in complete_line("%%task ", set)
    assert complete_line("%task ", set) is None
