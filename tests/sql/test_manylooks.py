"""A look into a queue that takes several statements says so: its caller looks twice."""

from __future__ import annotations

import pytest

from nbtasks.core.address import Address

ADDRESS = Address("default", "3.11", "0a" * 4)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
def test_only_a_look_in_one_statement_is_one_of_one_moment(kind, request, new_line):
    stock = new_line(request.getfixturevalue(f"{kind}_url")).stock()
    names = [f"{number:026}" for number in range(401)]
    assert stock.look(str(ADDRESS), names[:400]).at_once
    assert not stock.look(str(ADDRESS), names).at_once
