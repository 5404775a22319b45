"""The per-user key file."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from nbtasks.core.errors import ConfigError
from nbtasks.local.keyfile import key_path, user_key
from nbtasks.wire.signing import encode_key


def test_it_is_made_once_and_for_its_owner_only(home):
    key = user_key()
    assert len(key) == 32
    assert user_key() == key
    assert key_path() == home / "key"
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert key_path().read_text().strip() == encode_key(key)
    assert [path.name for path in home.iterdir()] == ["key"]


def test_processes_that_make_it_at_once_agree(home):
    code = "from nbtasks.local.keyfile import user_key; print(user_key().hex())"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    keys = {process.communicate()[0].strip() for process in processes}
    assert keys == {user_key().hex()}


def test_a_file_that_others_may_read_is_refused_with_the_command_that_helps(home):
    user_key()
    key_path().chmod(0o644)
    with pytest.raises(ConfigError, match=r"mode 644\); run: chmod 600 \S*key"):
        user_key()


@pytest.mark.parametrize("text", ["", "short", "A" * 44 + "!", "\0\xff" * 30])
def test_broken_content_names_the_file_and_what_to_do_and_never_the_content(home, text):
    user_key()
    key_path().write_text(text)
    with pytest.raises(ConfigError, match=r"key file \S*key does not hold a key.*remove the file") as caught:
        user_key()
    assert not text or text not in str(caught.value)
