"""``rediss://``: a server that cannot prove who it is gets nothing; the error says what to do."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from nbtasks import App, BrokerUnavailable, ConfigError

SOON = 60.0

# Sockets that a refused handshake leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


class Front:
    """Speaks TLS outside, and hands the bytes on to a server's unix socket."""

    def __init__(self, path: str, certificate: trustme.LeafCert) -> None:
        self._path = path
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop; every connection is closed."""
        self._over.set()
        # What waits for a connection gets one.
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.callback(connection.close)
            connection.settimeout(SOON)
            outer = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            inner = stack.enter_context(socket.socket(socket.AF_UNIX))
            inner.connect(self._path)
            self._pump(outer, inner)

    def _pump(self, outer: ssl.SSLSocket, inner: socket.socket) -> None:
        while not self._over.is_set():
            ready = [outer] if outer.pending() else select.select([outer, inner], [], [], 0.05)[0]
            for source, sink in ((outer, inner), (inner, outer)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)


@pytest.fixture
def authority() -> trustme.CA:
    """Signs the server's certificate."""
    return trustme.CA()


@pytest.fixture
def front(idle_app, authority) -> Iterator[Front]:
    """The embedded server behind TLS, with a certificate for 127.0.0.1 and localhost."""
    _ = idle_app.session
    one = Front(
        idle_app.connection.url.removeprefix("unix://"), authority.issue_cert("127.0.0.1", "localhost")
    )
    yield one
    one.close()


@pytest.fixture
def trusting(tmp_path):
    """``trusting(authority)`` is the part of a URL that names an authority."""

    def query(authority: trustme.CA) -> str:
        file = Path(tmp_path) / f"{id(authority)}.pem"
        authority.cert_pem.write_to_path(str(file))
        return f"?ssl_ca_certs={quote(str(file))}"

    return query


def test_the_right_authority_client_and_workers(front, authority, trusting):
    with App(broker=f"rediss://127.0.0.1:{front.port}/0{trusting(authority)}") as app:
        app.start_workers(2)
        assert app.task(abs).map(range(50)).get(timeout=SOON) == list(range(50))
        assert len(app.task(lambda data: data * 2).delay(b"x" * 300_000).get(timeout=SOON)) == 600_000
        assert [worker.matches for worker in app.workers()] == [True]


def test_celerys_and_valkeys_words_are_understood(front, authority, trusting):
    options = f"{trusting(authority)}&ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=true"
    with App(broker=f"valkeys://localhost:{front.port}/0{options}") as app:
        app.start_workers(1)
        assert app.task(abs).delay(-3).get(timeout=SOON) == 3
        assert app.connection.address == f"rediss://localhost:{front.port}/0"


def refusal(url: str) -> str:
    """What is said of a URL."""
    with App(broker=url) as app, pytest.raises(BrokerUnavailable) as caught:
        app.task(len).delay("ab")
    return str(caught.value)


def test_another_authority_is_refused_with_the_fix(front, trusting):
    said = refusal(f"rediss://127.0.0.1:{front.port}/0{trusting(trustme.CA())}")
    assert "its certificate is not one that is trusted here" in said
    assert "rediss://...?ssl_ca_certs=" in said


def test_verification_is_on_where_nothing_is_said(front):
    said = refusal(f"rediss://127.0.0.1:{front.port}/0")
    assert "its certificate is not one that is trusted here" in said
    assert "rediss://...?ssl_ca_certs=" in said


def test_a_certificate_for_another_name_is_refused(idle_app, authority, trusting):
    _ = idle_app.session
    one = Front(idle_app.connection.url.removeprefix("unix://"), authority.issue_cert("elsewhere.example"))
    try:
        said = refusal(f"rediss://127.0.0.1:{one.port}/0{trusting(authority)}")
    finally:
        one.close()
    assert "its certificate is not one that is trusted here" in said
    assert "127.0.0.1" in said


def test_an_authority_file_that_is_not_there_is_named(front, tmp_path):
    file = tmp_path / "nowhere.pem"
    with (
        App(broker=f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={quote(str(file))}") as app,
        pytest.raises(ConfigError, match=f"ssl_ca_certs={file}, and there is no such file"),
    ):
        app.task(len).delay("ab")


def test_without_tls_it_says_what_the_url_needs(front):
    assert "rediss://" in refusal(f"redis://127.0.0.1:{front.port}/0")
