"""The state folder: where it is, whose it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nbtasks.core.errors import ConfigError
from nbtasks.local.folder import private_folder, state_folder


def test_it_is_made_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTASKS_HOME", str(tmp_path / "a" / "b"))
    assert state_folder() == tmp_path / "a" / "b"
    assert stat.S_IMODE(state_folder().stat().st_mode) == 0o700


def test_without_a_setting_it_follows_the_desktop_convention(tmp_path, monkeypatch):
    monkeypatch.delenv("NBTASKS_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "nbtasks"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local" / "state" / "nbtasks"


def test_a_folder_that_others_may_use_is_refused_with_the_command_that_helps(tmp_path, monkeypatch):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setenv("NBTASKS_HOME", str(folder))
    with pytest.raises(ConfigError, match=r"mode 755\); run: chmod 700 \S*open"):
        state_folder()


def test_a_file_in_its_place_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBTASKS_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"file.*NBTASKS_HOME"):
        state_folder()


def test_a_link_is_refused_where_everybody_may_write(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert private_folder(link) == link
    with pytest.raises(ConfigError, match="not a folder"):
        private_folder(link, follow=False)


def test_a_folder_that_cannot_be_made_names_the_setting(monkeypatch):
    monkeypatch.setenv("NBTASKS_HOME", "/proc/nbtasks")
    with pytest.raises(ConfigError, match=r"/proc/nbtasks cannot be made.*NBTASKS_HOME"):
        state_folder()
    assert not Path("/proc/nbtasks").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_what_is_made_above_it_is_for_its_owner_only_whatever_the_umask_is(tmp_path, monkeypatch, umask):
    monkeypatch.delenv("NBTASKS_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    before = os.umask(umask)
    try:
        found = state_folder()
    finally:
        os.umask(before)
    for folder in (found, found.parent, found.parent.parent, tmp_path / "home"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
