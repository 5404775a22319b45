"""Letters in the names of workers and of their log files."""

from __future__ import annotations

import pytest

from nbtasks.core import nodenames
from nbtasks.core.errors import ConfigError
from nbtasks.core.nodenames import node_file, node_name


@pytest.fixture(autouse=True)
def host(monkeypatch):
    monkeypatch.setattr(nodenames.socket, "gethostname", lambda: "george.example.com")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("w1", "w1"),
        ("w1@%h", "w1@george.example.com"),
        ("w1@%n", "w1@george"),
        ("w1@%d", "w1@example.com"),
        ("w%i@%h", "w0@george.example.com"),
        ("100%%@%n%I", "100%@george"),
        ("50% of it", "50% of it"),
    ],
)
def test_names(text, name):
    assert node_name(text) == name


@pytest.mark.parametrize(
    ("text", "name", "file"),
    [
        ("/var/log/%n%I.log", "w1@george.example.com", "/var/log/w1.log"),
        ("%p.log", "w1@here.org", "w1@here.org.log"),
        ("%h-%d.log", "w1@here.org", "here.org-org.log"),
        ("%n-%i.log", None, "george-0.log"),
        ("%n.log", "plain", "plain.log"),
    ],
)
def test_files(text, name, file):
    assert node_file(text, name) == file


def test_other_letters_are_refused():
    with pytest.raises(ConfigError, match=r"name: %x in 'w%x' stands for nothing; there are %h \(the host\)"):
        node_name("w%x")
