"""Where Debian's packages come from, and what is said where they cannot be had."""

from __future__ import annotations

import shutil

import pytest

from tests.servers import debian
from tests.servers.cache import Missing
from tests.servers.fixtures import missing


def test_without_apt_it_says_so_and_fails_only_where_it_must(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Missing, match="is fetched with apt-get") as reason:
        debian.unpacked("never-fetched", "beanstalkd", "no-such-package")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NBTASKS_TEST_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get"):
        missing(reason.value)
    monkeypatch.setenv("NBTASKS_TEST_SERVERS", "required")
    with pytest.raises(pytest.fail.Exception, match="NBTASKS_TEST_SERVERS"):
        missing(reason.value)


@pytest.mark.long
def test_a_machine_without_lists_gets_some(monkeypatch, tmp_path):
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get here")
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/lists";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    (tmp_path / "packages").mkdir()
    debian.download(("beanstalkd",), tmp_path / "packages")
    assert list((tmp_path / "packages").glob("beanstalkd_*.deb"))
