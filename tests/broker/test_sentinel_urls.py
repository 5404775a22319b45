"""URLs of sentinels, as Celery and others write them: each becomes one URL, or one sentence with the next step."""

from __future__ import annotations

import ssl

import pytest

from nbtasks import App, ConfigError
from nbtasks.broker.url import parse, plainly

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("sentinel://a:1;sentinel://b:2/3?master_name=m", "sentinel://a:1,b:2/3?master_name=m"),
        ("sentinel://:pw@a:1/3;sentinel://b:2/3?master_name=m", "sentinel://:pw@a:1,b:2/3?master_name=m"),
        ("sentinel://:p%40w@a;sentinel://:p%40w@b?master_name=m", "sentinel://:p%40w@a,b?master_name=m"),
        ("sentinel://a;b/1?master_name=m", "sentinel://a,b/1?master_name=m"),
        ("sentinel://a,sentinel://b/1?master_name=m", "sentinel://a,b/1?master_name=m"),
        ("sentinel://a;sentinel://b/", "sentinel://a,b"),
        ("redis+sentinel://u:pw@a:1,b:2/m/0", "sentinel://u:pw@a:1,b:2/0?master_name=m"),
        ("redis-sentinel://a/m", "sentinel://a?master_name=m"),
        ("rediss+sentinel://a/m/2?db=2", "sentinels://a/2?master_name=m"),
        ("valkey+sentinel://[::1]:5/m/0", "sentinel://[::1]:5/0?master_name=m"),
    ],
)
def test_other_forms_mean_the_same(written, same):
    found, wanted = parse(written), parse(same)
    assert (found.watched, found.db, found.user, found.password) == (
        wanted.watched,
        wanted.db,
        wanted.user,
        wanted.password,
    )
    assert parse(plainly(written)) == found
    assert ";" not in plainly(written)


def test_what_is_said_of_the_server_and_of_its_sentinels():
    found = parse(
        "sentinels://bob:p%40w@a,b:5/2?master_name=m&sentinel_username=eve&sentinel_password=q%26&ssl_ca_certs=/ca"
        "&sentinel_ssl_cert_reqs=CERT_NONE&min_other_sentinels=1&client_name=me"
    )
    assert (found.user, found.password, found.db, found.tls) == (b"bob", b"p@w", 2, True)
    assert found.options == {"ssl_ca_certs": "/ca", "client_name": "me"}
    watched = found.watched
    assert watched.places == (("a", 26379), ("b", 5))
    assert (watched.master, watched.user, watched.password, watched.others) == ("m", "eve", "q&", 1)
    assert watched.options == {"ssl_ca_certs": "/ca", "ssl_cert_reqs": "none"}
    assert found.shown == "sentinels://a,b:5/2?master_name=m"


@pytest.mark.parametrize(
    ("tail", "server", "sentinels"),
    [("", False, False), ("&sentinel_ssl=true", False, True)],
)
def test_either_may_be_encrypted(tail, server, sentinels):
    found = parse(f"sentinel://a?master_name=m{tail}")
    assert (found.tls, found.watched.tls) == (server, sentinels)
    found = parse("sentinels://a?master_name=m&sentinel_ssl=no&ssl_ca_certs=/ca")
    assert (found.tls, found.watched.tls, found.watched.options) == (True, False, {})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://", "names no sentinel"),
        ("sentinel://a,,b?master_name=m", "names no sentinel"),
        ("sentinel://a:0?master_name=m", "1 to 65535"),
        ("sentinel://a:x?master_name=m", "port no number"),
        ("sentinel://:s3cr3t@a/m?master_name=n", "two masters"),
        ("sentinel://:s3cr3t@a;sentinel://:0ther@b?master_name=m", "two logins"),
        ("sentinel://a/1;sentinel://b/2?master_name=m", "two databases"),
        ("sentinel://a/1?db=2&master_name=m", "two databases, 1 and 2"),
        ("sentinel://a;rediss+sentinel://b?master_name=m", "two schemes"),
        ("sentinel://a/m/n/0", "number of a database"),
        ("sentinel://a?master_name=", "master_name needs a value"),
        ("sentinel://a?master_name=m&master_name=n", "twice"),
        ("sentinel://a?mastername=m", "did you mean master_name"),
        ("sentinel://a?master_name=m&ssl_ca_certs=/x", "sentinels://"),
        (
            "sentinel://a?master_name=m&sentinel_ssl_ca_certs=/x",
            "for the sentinels themselves, .*sentinels://",
        ),
        ("sentinel://a?master_name=m&sentinel_ssl=maybe", "sentinel_ssl needs true or false"),
        ("sentinel://a?master_name=m&sentinel_ssl=1&sentinel_ssl_min_version=9", "1.2 or 1.3"),
        ("sentinel://a?master_name=m&min_other_sentinels=two", "a number"),
        ("sentinel://a?master_name=m&socket_timeout=1", "leave it out"),
        ("sentinel://a?master_name=m&password=s3cr3t", "user:password@"),
        ("sentinel://:s3c/r3t@a?master_name=m", "@ behind its host.*%2F"),
        ("sentinel:/a", "two slashes"),
        ("redis://a?master_name=m", "goes with sentinel:// only"),
        ("rediss://a?sentinel_password=s3cr3t", "goes with sentinel:// only"),
        ("unix:///s?sentinel_ssl_ca_certs=/x", "goes with sentinel:// only"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(home, url, said):
    with pytest.raises(ConfigError, match=rf"^broker: .*{said}") as caught:
        App(broker=url)
    assert "s3c" not in str(caught.value)
    assert "0ther" not in str(caught.value)


def test_a_master_has_to_be_named(home, monkeypatch):
    said = r"sentinel://one/0 names sentinels, .* write sentinel://one/0\?master_name=mymaster, or set broker_transport"
    with App(broker="sentinel://one/0") as app, pytest.raises(ConfigError, match=said):
        app.connection.title.strip()
    with (
        App(broker="amqp://host", backend="sentinel://one") as app,
        pytest.raises(ConfigError, match=r"^backend: .*result_backend_transport_options"),
    ):
        app.connection.title.strip()
    monkeypatch.setenv("NBTASKS_BROKER", "sentinel://one")
    with App() as app, pytest.raises(ConfigError, match="master_name=mymaster"):
        app.connection.title.strip()


TOLD = {
    "master_name": "m",
    "min_other_sentinels": 2,
    "sentinel_kwargs": {
        "username": "eve", "password": "p&w", "ssl": True, "ssl_cert_reqs": ssl.CERT_NONE, "ssl_ca_certs": None,
        "socket_timeout": 0.1, "socket_connect_timeout": 0.1, "retry_on_timeout": True,
    },
}  # fmt: skip
SAME = (
    "sentinel://:pw@a:1,b:2/3?master_name=m&min_other_sentinels=2&sentinel_username=eve&sentinel_password=p%26w"
    "&sentinel_ssl=True&sentinel_ssl_cert_reqs=CERT_NONE"
)


def test_celerys_transport_options_say_the_rest(home, monkeypatch):
    url = "sentinel://:pw@a:1;sentinel://b:2/3"
    settings = {"broker_url": url, "broker_transport_options": TOLD}
    with App() as app:
        app.config_from_object({**settings, "result_backend": url, "result_backend_transport_options": TOLD})
        assert app.connection.url == SAME
        assert "p&w" not in repr(app.conf)
    with App(broker=url) as app:
        app.conf.broker_transport_options = TOLD
        assert app.connection.url == SAME
    with App("beside", broker="amqp://host", backend=url) as app:
        app.conf.result_backend_transport_options = TOLD
        assert (app.connection.url, app.connection.carrier) == (SAME, "amqp://host")
    monkeypatch.setenv("NBTASKS_BROKER", url)
    with App() as app:
        app.conf.broker_transport_options = TOLD
        assert app.connection.url == SAME


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"master_name": "n"}, "two things of master_name"),
        ({"master_name": ["m"]}, "list is no text"),
        ({"sentinel_kwargs": "p"}, "str is no dict"),
        ({"sentinel_kwargs": {"password": ["p"]}}, "list is no text"),
        ("master_name", "str is no dict"),
    ],
)
def test_options_that_cannot_be_are_told(home, options, said):

    def use(app):
        app.conf.broker_transport_options = options
        return app.connection

    with App(broker="sentinel://one?master_name=m") as app, pytest.raises(ConfigError, match=said):
        use(app)


@pytest.mark.parametrize("broker", [None, "redis://host"])
def test_options_for_sentinels_need_sentinels(home, broker):
    said = r"broker_transport_options\['master_name'\] is for sentinels, and broker_url names none"
    with App(broker=broker) as app:
        app.conf.broker_transport_options = {"master_name": "m"}
        with pytest.raises(ConfigError, match=said):
            app.connection.title.strip()


def test_only_what_does_nothing_is_said(home):
    with App(broker="sentinel://one") as app:
        with pytest.warns(UserWarning, match=r"broker_transport_options\['fanout_prefix'\] \(conn") as caught:
            app.conf.broker_transport_options = {"master_name": "m", "fanout_prefix": True}
        assert len(caught) == 1


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("sentinel://b;sentinel://a/0", {}),
        ("sentinel://a/0?master_name=m", {"master_name": "m"}),
        ("sentinel://b/0", {"master_name": "m"}),
    ],
)
def test_the_backend_may_be_the_same_sentinels(home, backend, options):
    with App(broker="sentinel://a,b/0?master_name=m", backend=backend) as app:
        if options:
            app.conf.result_backend_transport_options = options
        assert app.connection.address == "sentinel://a,b/0?master_name=m"


@pytest.mark.parametrize(
    "backend", ["sentinel://c", "sentinel://a?master_name=n", "redis://a", "redis://a:26379"]
)
def test_another_backend_is_refused(home, backend):
    with pytest.raises(ConfigError, match="leave backend out"):
        App(broker="sentinel://a,b/0?master_name=m", backend=backend)


def test_a_connection_names_no_password(home):
    with App(broker=f"sentinel://:{SECRET}@a/0?master_name=m&sentinel_password={SECRET}") as app:
        assert SECRET not in repr(app.connection) + repr(parse(app.connection.url).watched)
        assert not app.connection.is_local
