"""Options that are empty, as a variable that is not set leaves them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from nbtasks.cli.command import nbtasks


@pytest.mark.parametrize(
    "arguments",
    [
        ["worker", "-A", ""],
        ["worker", "-b", ""],
        ["worker", "--connection-file", " "],
        ["worker", "--namespace="],
        ["worker", "-n", ""],
        ["-A", "", "worker"],
        ["-b", "", "doctor"],
        ["doctor", "-b", ""],
        ["doctor", "--connection-file", ""],
        ["invite", "-b", ""],
        ["invite", "--namespace", ""],
        ["invite", "--host", ""],
        ["invite", "--file", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_does_not_mean_the_default(arguments):
    done = CliRunner().invoke(nbtasks, arguments)
    assert done.exit_code == 2
    assert "it is empty: is a variable not set?" in done.output
