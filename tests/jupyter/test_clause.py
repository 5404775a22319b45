"""The ``for`` clause of ``%%task`` is cut from the raw line."""

import ast

import pytest

from nbtasks.core.errors import CellError
from nbtasks.jupyter.magics.clause import split_clause


@pytest.mark.parametrize(
    ("line", "head", "text", "names"),
    [
        ("for u in urls", "", "for u in urls", ("u",)),
        ('-q io --retries 3 for u in df["url"]', "-q io --retries 3", "for u in df['url']", ("u",)),
        (
            "for i, u in enumerate(urls) if u != 'b'",
            "",
            "for i, u in enumerate(urls) if u != 'b'",
            ("i", "u"),
        ),
        ("-b for x in xs for y in ys", "-b", "for x in xs for y in ys", ("x", "y")),
        ('--name "wait for it" for n in range(3)', '--name "wait for it"', "for n in range(3)", ("n",)),
        ("for(a, b)in pairs", "", "for a, b in pairs", ("a", "b")),
        ("for head, *tail in rows", "", "for head, *tail in rows", ("head", "tail")),
        ("-b for u in urls  # fetch them all", "-b", "for u in urls", ("u",)),
        ("for u in ['a #b', \"for c in d\"]", "", "for u in ['a #b', 'for c in d']", ("u",)),
        ("f([x for x in y]) for u in urls", "f([x for x in y])", "for u in urls", ("u",)),
        ("-n before for u in urls", "-n before", "for u in urls", ("u",)),
    ],
)
def test_clause_is_found(line, head, text, names):
    rest, clause = split_clause(line)
    assert rest == head
    assert clause is not None
    assert clause.names == names
    # Python 3.10 writes a tuple of names in parentheses.
    assert ast.dump(ast.parse(f"[0 {clause.text}]")) == ast.dump(ast.parse(f"[0 {text}]"))


@pytest.mark.parametrize(
    ("line", "head"),
    [
        ("", ""),
        ("-b -q io", "-b -q io"),
        ('--name "wait for it"', '--name "wait for it"'),
        ("-b  # a note: for x in y", "-b"),
        ("# for x in y", ""),
        ("-q a#b", "-q a#b"),
        ("-n therefore --wait 3", "-n therefore --wait 3"),
        ("sum(x for x in range(3))", "sum(x for x in range(3))"),
    ],
)
def test_no_clause(line, head):
    assert split_clause(line) == (head, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("for x in range(3):", "leave out the colon, `for x in range(3)`"),
        ("for a, b in rows if a:  # each", "leave out the colon, `for a, b in rows if a`"),
        ("for x in 1, 2", "put brackets around the items, `for x in (1, 2)`"),
        ("for a, b in (1, 2), (3, 4):", "put brackets around the items, `for a, b in ((1, 2), (3, 4))`"),
        ("for u of urls", "cannot read 'for u of urls' as a for clause"),
        ("-b for u in", "write `for NAME in EXPR`"),
        ("-b for", "cannot read 'for' as a for clause"),
        ("for u in urls] + [1", "for clause"),
        ("for a[0] in rows", "use plain names"),
        ("for o.x in rows", "`o.x` cannot be an item's name"),
        ("for () in rows", "names nothing"),
        ("for x in xs async for y in ys", "async for"),
    ],
)
def test_a_clause_that_is_none_is_refused(line, message):
    with pytest.raises(CellError) as caught:
        split_clause(line)
    assert message in str(caught.value)


def test_items_of_one_name_are_values_of_several_are_tuples():
    _, clause = split_clause("for u in urls if u != skip")
    assert list(clause.items({"urls": ["a", "b", "c"], "skip": "b"})) == ["a", "c"]
    _, clause = split_clause("for i, (a, b) in enumerate(pairs) for c in 'xy'")
    assert list(clause.items({"pairs": [(1, 2)]})) == [(0, 1, 2, "x"), (0, 1, 2, "y")]


def test_items_are_read_one_by_one_from_an_expression_evaluated_once():
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield number
            number += 1

    _, clause = split_clause("for n in endless()")
    items = clause.items({"endless": endless})
    assert [next(items), next(items)] == [0, 1]
    assert read == [0, 1]


def test_an_error_in_the_expression_comes_at_once():
    _, clause = split_clause("for u in missing")
    with pytest.raises(NameError, match="missing"):
        clause.items({})
