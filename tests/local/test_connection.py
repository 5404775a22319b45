"""Which broker, key and namespace are used, and what of them is shown."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from nbtasks.core.errors import ConfigError
from nbtasks.local import connection
from nbtasks.local.connection import Connection, read_connection_file, resolve, write_connection_file
from nbtasks.local.keyfile import user_key
from nbtasks.wire.signing import encode_key

KEY, OTHER, FILED = bytes(range(32)), b"o" * 32, b"f" * 32
URL = "redis://bob:secret@example.org:6380/2"


@pytest.fixture
def filed(project, monkeypatch):
    """A connection file that the environment names."""
    path = project / "cluster.json"
    write_connection_file(path, Connection("redis://filed:1/0", (FILED,), "filed", "test"))
    monkeypatch.setenv("NBTASKS_CONNECTION_FILE", str(path))
    return path


def test_what_the_call_says_comes_first(filed, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", "redis://environment/0")
    monkeypatch.setenv("NBTASKS_KEY", encode_key(OTHER))
    monkeypatch.setenv("NBTASKS_NAMESPACE", "environment")
    found, lease = resolve(URL, KEY, "mine")
    assert lease is None
    assert (found.url, found.keys, found.namespace) == (URL, (KEY,), "mine")


def test_then_the_environment(filed, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", "redis://environment/0")
    monkeypatch.setenv("NBTASKS_KEY", encode_key(OTHER))
    monkeypatch.setenv("NBTASKS_NAMESPACE", "environment")
    found, _ = resolve()
    assert (found.url, found.keys, found.namespace) == ("redis://environment/0", (OTHER,), "environment")
    assert found.source == "NBTASKS_BROKER"


def test_then_the_connection_file(filed):
    found, _ = resolve()
    assert (found.url, found.keys, found.namespace) == ("redis://filed:1/0", (FILED,), "filed")
    assert found.source == str(filed)


def test_each_setting_is_looked_up_by_itself(filed):
    found, _ = resolve(broker=URL)
    assert (found.url, found.keys, found.namespace) == (URL, (FILED,), "filed")


def test_then_the_embedded_server_and_the_key_file(project):
    found, lease = resolve()
    with_lease = lease.url
    lease.close()
    assert found.url == with_lease
    assert (found.keys, found.namespace, found.source) == ((user_key(),), "nbtasks", "embedded server")


def test_the_connection_is_known_before_the_embedded_server_is_up(project):
    resolving = connection.begin()
    lease = resolving.wait()
    assert resolving.connection.url == lease.url
    lease.close()


def test_an_embedded_server_given_up_before_it_is_up_goes_away(project, processes, eventually):
    connection.begin().close()
    eventually(lambda: not processes(), "no process is left")


def test_two_keys_are_accepted_for_rotation(project):
    found, _ = resolve(URL, f"{encode_key(KEY)},{encode_key(OTHER)}")
    assert found.keys == (KEY, OTHER)


def test_neither_key_nor_password_is_ever_shown(project):
    found, _ = resolve(URL, KEY)
    for text in (repr(found), str(found), f"{found}", found.address):
        assert "secret" not in text
        assert "bob" not in text
        assert encode_key(KEY) not in text
        assert repr(KEY) not in text
    assert found.address == "redis://example.org:6380/2"


def test_json_there_and_back():
    found = Connection("unix:///run/my%20server.sock?db=1", (KEY, OTHER), "ns", "here")
    assert Connection.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.address == "unix:///run/my%20server.sock"


@pytest.mark.parametrize(
    "url",
    ["localhost:6379", "http://host", "redis://", "redis://host:port", "redis://host:99999", "redis://host/db",
     "unix://relative/path", "redis:/host", "bob:secret@host"],
)  # fmt: skip
def test_a_url_of_another_form_is_refused_with_the_accepted_ones(project, url):
    with pytest.raises(ConfigError, match=r"redis://.*rediss://.*unix://") as caught:
        resolve(url, KEY)
    assert "secret" not in str(caught.value)


def test_a_broken_url_does_not_show_its_password(project):
    with pytest.raises(ConfigError) as caught:
        resolve("http://bob:secret@host/", KEY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "abc", b"too short", encode_key(KEY) + ",", "é" * 43])
def test_a_key_that_is_none_is_refused_without_showing_it(project, key, monkeypatch):
    monkeypatch.setenv("NBTASKS_KEY", "broken")
    with pytest.raises(ConfigError, match="32 bytes of base64url"):
        resolve(URL, key)


@pytest.mark.parametrize("namespace", ["a b", "{tag}", "x" * 65, "a\n"])
def test_a_namespace_has_no_odd_letters(project, namespace):
    with pytest.raises(ConfigError, match="namespace"):
        resolve(URL, KEY, namespace)


def test_a_connection_file_is_its_owners_alone(filed):
    assert stat.S_IMODE(filed.stat().st_mode) == 0o600
    assert read_connection_file(filed).keys == (FILED,)
    filed.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        resolve()


def test_a_connection_file_is_never_overwritten(filed):
    with pytest.raises(ConfigError, match="exists already"):
        write_connection_file(filed, Connection(URL, (KEY,), "x", "test"))
    assert read_connection_file(filed).keys == (FILED,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "cluster.json"),
        ('{"url": "redis://h"}', "needs 'url' and 'keys'"),
        ('{"url": "redis://h", "keys": ["x"]}', "32 bytes"),
        ('{"url": "redis://h", "keys": []}', "keys"),
        (f'{{"url": "http://h", "keys": ["{encode_key(KEY)}"]}}', "redis://"),
    ],
)
def test_a_broken_connection_file_is_named(filed, text, message):
    filed.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        resolve()
    assert "cluster.json" in str(caught.value)


def test_a_missing_connection_file_is_named(project, monkeypatch):
    monkeypatch.setenv("NBTASKS_CONNECTION_FILE", "nowhere.json")
    with pytest.raises(ConfigError, match=r"no connection file .*nowhere\.json"):
        resolve()


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(
    ("owner", "mode", "works"),
    [
        (0, 0o440, True),
        (0, 0o640, True),
        (0, 0o460, False),
        (0, 0o444, False),
        (54321, 0o600, True),
        (54321, 0o640, False),
        (54322, 0o440, False),
    ],
)
def test_a_mounted_secret(tmp_path, owner, mode, works):
    """Platforms mount it as root's, readable for a group of the process."""
    file = tmp_path / "connection"
    write_connection_file(file, Connection("redis://somewhere", (b"k" * 32,), "n", "test"))
    os.chown(file, owner, 777)
    file.chmod(mode)
    code = (
        f"from nbtasks.local.connection import read_connection_file as read; print(read({str(file)!r}).url)"
    )
    keeps = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    become = ("setpriv", "--reuid", "54321", "--regid", "54321", "--groups", "777", *keeps)
    done = subprocess.run([*become, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if works:
        assert done.stdout == "redis://somewhere\n", done.stderr
    else:
        assert "ConfigError" in done.stderr
        assert "600" in done.stderr
        assert "NBTASKS_HOME" not in done.stderr
