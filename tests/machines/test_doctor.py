"""What ``nbtasks doctor`` says on a machine that cannot join."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbtasks.wire.signing import encode_key, new_key

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@pytest.fixture
def joined(network, desk, eventually):
    """A desk whose server listens, and another machine with the connection file."""
    table, other = network.machine("table"), network.machine("other")
    session = desk(table)
    session.do("import nbtasks; app = nbtasks.App(listen='0.0.0.0:6390'); invitation = app.invite()")
    file = other.home / "nbtasks-connection.json"
    file.write_text((table.home / "nbtasks-connection.json").read_text())
    file.chmod(0o600)
    yield session, table, other, file
    session.do("app.close()")


def change(file: Path, **values) -> None:
    """Change a connection file."""
    data = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps(data))


def said(machine, code: int) -> str:
    """Return what the doctor says about the connection file."""
    done = machine.nbtasks("doctor", "--connection-file", "nbtasks-connection.json")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_all_is_well(joined):
    _, table, other, _ = joined
    text = said(other, 0)
    assert f"at rediss://{table.address}:6390/0" in text
    assert "No problem found." in text
    assert "the embedded server, on 0.0.0.0 port 6390, with TLS" in table.nbtasks("doctor").stdout


def test_a_wrong_key(joined):
    session, _, other, file = joined
    session.do("handle = app.task(lambda: 1).delay()")
    session.do("app.session.flush()")
    change(file, keys=[encode_key(new_key())])
    text = said(other, 1)
    assert "1 entries of queue default need key" in text
    assert "no worker has it" in text


def test_a_machine_that_is_not_there(joined):
    *_, other, file = joined
    change(file, url="redis://10.77.0.99:6390")
    text = said(other, 1)
    assert "redis://10.77.0.99:6390 cannot be reached" in text
    assert "a firewall on the way or a wrong address" in text or "no way to it" in text


def test_a_port_on_which_nothing_listens(joined):
    _, table, other, file = joined
    change(file, url=f"redis://{table.address}:6399")
    assert "nothing listens there: connection refused" in said(other, 1)


def test_a_firewall(joined):
    _, table, other, _ = joined
    table.pull_cable()
    text = said(other, 1)
    table.plug_cable()
    assert "a firewall on the way or a wrong address" in text


def test_tls_that_is_not_the_expected_one(joined):
    session, _, other, file = joined
    url = json.loads(file.read_text())["url"]
    change(file, url=url.partition("?")[0])
    assert "TLS: its certificate is not one that is trusted here" in said(other, 1)
    change(file, url=url.partition("?")[0].replace("rediss", "redis"))
    assert "if it speaks TLS, the URL begins with rediss://" in said(other, 1)
    change(file, url=url)
    session.do("app.uninvite()")
    assert "nothing listens there" in said(other, 1)
    session.do("again = app.invite(listen='0.0.0.0:6390')")
    assert "TLS: its certificate is not one that is trusted here" in said(other, 1)
