"""Nothing is shown or done without the token, and nothing for the page of another site."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from nbtasks.cli.command import nbtasks
from tests.conftest import wait_until

from .conftest import TOKEN, started
from .events import messages

PATHS = (
    "",
    "static/start.js",
    "static/dashboard.js",
    "static/dashboard.css",
    "stream",
    "stream?page=overview",
    "metrics",
    "healthcheck",
    "api/pages/overview",
    "api/workers",
    "api/tasks",
    "api/queues/length",
    "api/task/result/1",
    "api/task/info/1",
    "nothing/there",
)
ACTIONS = ("api/act/revoke", "api/task/async-apply/some.task", "api/task/revoke/1", "nothing/there")


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_shown(stranger, path):
    for query in ("", "token=", f"token={TOKEN}x", f"token={TOKEN[:-1]}", "token=%FF"):
        answer = stranger.get(f"{path}{'&' if '?' in path else '?'}{query}")
        assert answer.status_code == 401, query
        assert TOKEN not in answer.text
    for header in (
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Cookie": f"nbtasks={TOKEN}"},
    ):
        assert stranger.get(path, headers=header).status_code == 401


@pytest.mark.parametrize("path", ACTIONS)
def test_without_the_token_nothing_is_done(stranger, path):
    assert stranger.post(path, json={}).status_code == 401
    assert stranger.post(path, json={}, headers={"X-CSRF-Token": "0" * 64}).status_code == 401
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        assert stranger.request(method, path).status_code == 401


def test_the_token_in_the_url_opens_the_page_and_then_a_cookie_does(dashboard, stranger):
    assert dashboard.token == TOKEN
    page = stranger.get(f"?token={TOKEN}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    (cookie,) = page.headers.get_list("set-cookie")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert TOKEN not in cookie + page.text
    # The same client has the cookie now.
    assert stranger.get("").status_code == 200
    assert stranger.get("api/pages/workers").status_code == 200


def test_odd_cookies_of_other_servers_do_no_harm(browser, stranger):
    (own,) = (f"{name}={value}" for name, value in browser.cookies.items())
    for cookies in (f'odd=[{{"a": 1}}]; {own}', f'{own}; "x', f";;=;\xe4=1;{own}", f"a={own}; {own}"):
        assert stranger.get("", headers={"Cookie": cookies.encode("latin-1")}).status_code == 200
    assert stranger.get("", headers={"Cookie": own[:-1]}).status_code == 401


def test_each_answer_keeps_other_sites_out(browser, stranger):
    for answer in (browser.get(""), browser.get("static/start.js"), stranger.get("")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", ""]
)
def test_another_name_for_this_server_is_refused(program, browser, host):
    for client in (program, browser):
        answer = client.get("api/pages/workers", headers={"Host": host})
        assert answer.status_code == 403
    assert program.post("api/act/revoke", json={"id": "1"}, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_the_page_of_another_site_is_refused(browser, csrf, origin):
    headers = {"Origin": origin, "X-CSRF-Token": csrf}
    assert browser.post("api/act/revoke", json={"id": "1"}, headers=headers).status_code == 403
    assert browser.get("api/pages/workers", headers={"Origin": origin}).status_code == 403


def test_an_origin_that_is_none_is_refused(stranger, program):
    for origin in ("http://[", "http://[x]y", "//", "http://a:b:c", "\xff", "http://"):
        for client in (stranger, program):
            answer = client.get("api/workers", headers={"Origin": origin.encode("latin-1")})
            assert answer.status_code == 403


def test_another_port_of_its_address_is_another_site(shared_app):
    home = shared_app.connection
    with started(home.url, home.namespace, "--host", "127.0.0.2") as served:
        port = urlsplit(served.base).port
        headers = {"Authorization": f"Bearer {served.token}"}
        with httpx.Client(base_url=served.base, headers=headers, timeout=30) as client:
            for origin, status in ((f"http://127.0.0.2:{port}", 200), ("http://127.0.0.2", 403)):
                assert client.get("api/workers", headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_browsers_say_of_another_site_is_heard(browser, csrf, site):
    headers = {"Sec-Fetch-Site": site, "X-CSRF-Token": csrf}
    assert browser.get("stream", headers=headers).status_code == 403
    assert browser.post("api/act/revoke", json={"id": "1"}, headers=headers).status_code == 403
    # But the printed URL may be followed from anywhere.
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browser.get(f"?token={TOKEN}", headers=link).status_code == 200
    assert browser.get("", headers=link).status_code == 403


@pytest.fixture
def csrf(browser) -> str:
    """What the page is told, and sends with each action."""
    with browser.stream("GET", "stream") as stream:
        event, hello = next(messages(stream))
    assert event == "hello"
    return hello["csrf"]


def test_an_action_needs_what_only_the_page_knows(browser, csrf, dashboard):
    body = {"name": "nothing"}
    own = {"Origin": dashboard.base.rstrip("/")}
    assert browser.post("api/act/pause", json=body, headers=own).status_code == 403
    assert browser.post("api/act/pause", json=body, headers={**own, "X-CSRF-Token": "no"}).status_code == 403
    answer = browser.post("api/act/pause", json=body, headers={**own, "X-CSRF-Token": csrf})
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert "there is no periodic task 'nothing'" in answer.json()["said"]


def test_only_post_changes_anything_and_only_json(program):
    assert program.get("api/act/pause").status_code == 405
    assert program.get("api/task/async-apply/some.task").status_code == 405
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"Content-Type": kind}
        assert program.post("api/act/pause", content=b'{"name": "x"}', headers=headers).status_code == 415
    for body in (b"{", b"[", b"\xff", b"[" * 100_000):
        headers = {"Content-Type": "application/json"}
        assert program.post("api/act/pause", content=body, headers=headers).status_code in (400, 413)
    for body in ([], 1, None, "x"):
        assert program.post("api/act/pause", json=body).json()["ok"] is False
    assert program.post("api/act/format_disk", json={}).status_code == 404


def test_a_body_that_is_too_large_is_refused(program):
    assert program.post("api/act/pause", json={"name": "x" * 100_000}).status_code == 413
    assert program.post("api/task/async-apply/a.b", json={"args": ["x" * 1_100_000]}).status_code == 413

    def pieces():
        for _ in range(20):
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    answer = program.post("api/task/async-apply/a.b", content=pieces(), headers=headers)
    assert answer.status_code == 413
    assert program.get("x" * 9_000).status_code == 414


@pytest.mark.long
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_who_does_not_say_what_is_wanted_is_not_waited_for(dashboard, begun):
    place = urlsplit(dashboard.base)
    with socket.create_connection((place.hostname, place.port), timeout=60) as raw:
        raw.sendall(begun)
        answer = bytearray()
        while some := raw.recv(10_000):
            answer += some
        assert not answer or answer.startswith(b"HTTP/1.1 40")


def test_a_websocket_is_refused(dashboard):
    place = urlsplit(dashboard.base)
    with socket.create_connection((place.hostname, place.port), timeout=30) as raw:
        raw.sendall(
            f"GET / HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith((b"HTTP/1.1 401", b"HTTP/1.1 400", b"HTTP/1.1 403"))


def test_no_more_streams_than_there_may_be(browser):
    limits = httpx.Limits(max_connections=100)
    with httpx.Client(base_url=browser.base_url, cookies=browser.cookies, limits=limits, timeout=30) as many:
        streams, read = [], []
        try:
            for _ in range(64):
                streams.append(many.send(many.build_request("GET", "stream"), stream=True))
                assert streams[-1].status_code == 200
                read.append(messages(streams[-1]))
                next(read[-1])
            assert many.get("stream").status_code == 503
        finally:
            for one in streams:
                one.close()


def test_no_more_streams_than_there_may_be_though_they_come_at_once(dashboard, browser):
    place = urlsplit(dashboard.base)
    asked = f"GET /stream HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        many = [
            stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=60))
            for _ in range(150)
        ]
        for one in many:
            one.sendall(asked)
        codes = [one.recv(12)[-3:] for one in many]
    # Those of the test before may not have ended quite yet.
    assert codes.count(b"200") <= 64
    assert b"503" in codes
    assert set(codes) <= {b"200", b"503"}

    def has_room():
        with browser.stream("GET", "stream") as stream:
            return stream.status_code == 200

    wait_until(has_room, "those who have gone are noticed")


def test_a_read_only_dashboard_shows_and_does_nothing(shared_app):
    home = shared_app.connection
    with started(home.url, home.namespace, "--read-only") as served:
        headers = {"Authorization": f"Bearer {served.token}"}
        with httpx.Client(base_url=served.base, headers=headers, timeout=30) as client:
            assert client.get("api/pages/workers").json()["workers"]
            for path in (
                "api/act/stop",
                "api/worker/shutdown/w1",
                "api/task/async-apply/a.b",
                "api/task/apply/a.b",
                "api/task/revoke/1",
            ):
                answer = client.post(path, json={"worker": "x"})
                assert (answer.status_code, answer.json()["said"]) == (403, "this dashboard is read-only")
            with client.stream("GET", "stream") as stream:
                assert next(messages(stream))[1]["readonly"] is True
        assert served.stop() == 0


@pytest.mark.long
def test_a_token_stays_where_it_is_kept(shared_app, tmp_path):
    home = shared_app.connection
    file = tmp_path / "token"
    with started(home.url, home.namespace, "--token-file", str(file)) as served:
        first = served.token
        assert served.stop() == 0
    assert file.stat().st_mode & 0o777 == 0o600
    with started(home.url, home.namespace, "--token-file", str(file)) as served:
        assert served.token == first
    with started(home.url, home.namespace) as served:
        assert served.token != first
        assert len(served.token) >= 32


def refused(shared_app, *words) -> str:
    """What the command says where it does not start."""
    home = shared_app.connection
    line = ["dashboard", "-b", home.url, "--namespace", home.namespace, *words]
    done = CliRunner().invoke(nbtasks, line)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    return done.output


def test_what_makes_no_sense_is_said_in_one_sentence(shared_app, tmp_path):
    open_file = tmp_path / "open"
    open_file.write_text("x" * 40)
    open_file.chmod(0o644)
    assert "a token has 16 to 500" in refused(shared_app, "--token", "short")
    assert "chmod 600" in refused(shared_app, "--token-file", str(open_file))
    assert "there is no file" in refused(shared_app, "--certfile", str(tmp_path / "none"))
    for url in ("nothing", "http://[", "https://a:b@example.org/", "https://example.org/?a=1", "https:///x"):
        assert "--public-url" in refused(shared_app, "--public-url", url)
    for prefix in ("/a b", "/\xe4", "/a;b", "/%41", '/a"b'):
        assert "--url-prefix" in refused(shared_app, "--url-prefix", prefix)
    both = ("--url-prefix", "/a", "--public-url", "https://example.org/b")
    assert "leave --url-prefix out" in refused(shared_app, *both)
    # An address of documentation, which no machine has.
    assert "--host names an address of this machine" in refused(
        shared_app, "--host", "192.0.2.1", "--port", "0"
    )
    assert "--webhooks-to: 'example' is no beginning" in refused(shared_app, "--webhooks-to", "example")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused(shared_app, "--port", str(taken.getsockname()[1]))


def test_without_its_libraries_it_says_what_to_install(shared_app, tmp_path):
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('no', name='starlette')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from nbtasks.cli import main; main()"
    for command in ("dashboard", "metrics"):
        line = [sys.executable, "-c", program, command, "-b", shared_app.connection.url]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "pip install 'nbtasks[dashboard]'" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.long
def test_behind_a_proxy_its_prefix_may_be_there_or_not(shared_app):
    home = shared_app.connection
    with started(home.url, home.namespace, "--public-url", "https://example.org/tasks") as served:
        assert served.base == "https://example.org/tasks/"
        port = listening_port(served.process.pid)
        headers = {"Host": "example.org"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            for prefix in ("/tasks", ""):
                answer = client.get(f"{prefix}/", params={"token": served.token})
                assert answer.status_code == 200
                (cookie,) = answer.headers.get_list("set-cookie")
                assert "Path=/tasks/;" in cookie
                assert cookie.endswith("; Secure")
                assert 'src="static/' in answer.text
            bearer = {"Authorization": f"Bearer {served.token}", "Origin": "https://example.org"}
            answer = client.post("/tasks/api/act/pause", json={"name": "x"}, headers=bearer)
            assert answer.status_code == 200
            # A proxy that names the machine behind it, as nginx does by itself.
            bearer["Host"] = f"127.0.0.1:{port}"
            bearer["Origin"] = "https://EXAMPLE.org:443"
            assert client.post("/api/act/pause", json={"name": "x"}, headers=bearer).status_code == 200
            bearer["Origin"] = "http://example.org"
            assert client.post("/api/act/pause", json={"name": "x"}, headers=bearer).status_code == 403
            # Who leaves the slash out.
            bare = client.get("/tasks", params={"token": served.token})
            assert bare.headers["location"] == f"/tasks/?token={served.token}"


def listening_port(pid: int) -> int:
    """The port that a process listens on."""
    import psutil

    (found,) = [
        one.laddr.port for one in psutil.Process(pid).net_connections() if one.status == psutil.CONN_LISTEN
    ]
    return found


def test_with_a_certificate_it_speaks_tls(shared_app, tmp_path):
    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(chain)
    made.private_key_pem.write_to_path(key)
    home = shared_app.connection
    words = ("--host", "localhost", "--certfile", str(chain), "--keyfile", str(key))
    with started(home.url, home.namespace, *words) as served:
        assert served.base.startswith("https://localhost:")
        import ssl

        context = ssl.create_default_context()
        authority.configure_trust(context)
        with httpx.Client(verify=context, timeout=30) as client:
            answer = client.get(served.printed)
            assert answer.status_code == 200
            assert answer.headers["set-cookie"].endswith("; Secure")


def test_it_ends_at_once_though_somebody_looks(shared_app):
    home = shared_app.connection
    with started(home.url, home.namespace) as served:
        headers = {"Authorization": f"Bearer {served.token}"}
        with httpx.stream("GET", f"{served.base}stream?page=overview", headers=headers, timeout=60) as stream:
            found = messages(stream)
            assert next(found)[0] == "hello"
            assert served.stop() == 0


def test_a_stream_tells_of_what_changes(browser, shared_app):
    with browser.stream("GET", "stream", params={"page": "workers", "call": "nobody"}) as stream:
        found = messages(stream)
        assert next(found)[0] == "hello"
        told = {data["page"]: data["data"] for _, data in (next(found), next(found))}
    assert len(told["workers"]["workers"]) == 1
    assert told["call"]["found"] is False
    assert json.dumps(told)
