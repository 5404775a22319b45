"""The options of a Redis' URL: each is known and works, or is refused by its name. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from nbtasks.core.errors import ConfigError

from .urlparts import ENCODED, decided_here, unknown, yes_or_no

#: The schemes that are TLS.
WITH_TLS = frozenset({"rediss", "sentinels"})


def is_number(text: str) -> bool:
    """Whether a text is a number of 0 or more, of a size that one may have."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def _number(text: str) -> int:
    if not is_number(text):
        raise ValueError("a number of 0 or more")
    return int(text)


def _cert_reqs(text: str) -> str:
    """Celery writes CERT_REQUIRED, redis-py required."""
    name = text.lower().removeprefix("ssl.").removeprefix("cert_")
    if name not in {"none", "optional", "required"}:
        raise ValueError("required, optional or none")
    return name


def _tls_version(text: str) -> ssl.TLSVersion:
    known = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    known |= {str(int(version)): version for version in known.values()}
    try:
        return known[text.lower().removeprefix("tlsv").replace("_", ".")]
    except KeyError:
        raise ValueError("1.2 or 1.3") from None


def _ciphers(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(text)
    except ssl.SSLError:
        raise ValueError("a list of ciphers that OpenSSL knows") from None
    return text


def _authority(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError("an authority's certificate as PEM text") from None
    return text


def _client_name(text: str) -> str:
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("letters, digits and signs without a space")
    return text


def _file(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path")
    return text


#: Celery's word for the number of a database behind a socket.
_VIRTUAL_HOST = "virtual_host"
_KNOWN: dict[str, Callable[[str], Any]] = {
    "db": _number,
    "client_name": _client_name,
    "ssl_cert_reqs": _cert_reqs,
    "ssl_check_hostname": yes_or_no,
    "ssl_ca_certs": _file,
    # An authority's certificate itself, as PEM: an invitation has the listener's in its URL.
    "ssl_ca_data": _authority,
    "ssl_ca_path": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
    "ssl_min_version": _tls_version,
    "ssl_ciphers": _ciphers,
}
_LOGIN = {"username", "user", "password"}
_SENTINELS = frozenset({"sentinel", "sentinels"})
#: What goes with these two only; any option of TLS may stand there for the sentinels, too, as sentinel_ssl_ca_certs.
OF_SENTINELS = (
    "master_name",
    "sentinel_username",
    "sentinel_password",
    "sentinel_ssl",
    "min_other_sentinels",
)
#: What changes how redis-py talks, waits and tries again: nbtasks has its own ways, and depends on them.
_OURS = {
    *("decode_responses", "encoding", "encoding_errors", "charset", "errors", "protocol", "legacy_responses"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "timeout"),
    *(
        "socket_type",
        "socket_read_size",
        "retry",
        "retry_on_timeout",
        "retry_on_error",
        "health_check_interval",
    ),
    *("max_connections", "single_connection_client", "auto_close_connection_pool", "parser_class"),
    *("connection_class", "connection_pool", "command_packer", "credential_provider", "redis_connect_func"),
    *("lib_name", "lib_version", "driver_info", "cache", "cache_config", "event_dispatcher"),
    *("maint_notifications_config", "host", "port", "path", "unix_socket_path"),
}


def pairs(query: str) -> list[tuple[str, str]]:
    """Return the names and values that stand behind a URL's question mark."""
    return parse_qsl(query, keep_blank_values=True, errors="surrogateescape")


def read_options(given: Iterable[tuple[str, str]], scheme: str) -> dict[str, Any]:
    """Return the options of a URL, as redis-py's connections take them.

    Raises:
        ConfigError: one is not known, or not here, or its value is none.
    """
    found: dict[str, Any] = {}
    for written, value in given:
        is_database = written == _VIRTUAL_HOST and scheme == "unix"
        name, text = ("db", value.removeprefix("/")) if is_database else (written, value)
        if name in found:
            raise ConfigError(f"the URL's option {name} stands there twice; leave one out")
        read = _reader(name, scheme)
        if not text:
            raise ConfigError(f"the URL's option {name} needs a value")
        try:
            found[name] = read(text)
        except ValueError as error:
            raise ConfigError(f"the URL's option {name} needs {error}") from None
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise ConfigError("the URL's option ssl_keyfile needs ssl_certfile beside it")
    return found


def _with_tls(scheme: str) -> str:
    return f"{scheme}s" if f"{scheme}s" in WITH_TLS else "rediss"


def _reader(name: str, scheme: str) -> Callable[[str], Any]:
    """Return what reads the value of an option.

    Raises:
        ConfigError: there is no such option, or not here.
    """
    read = _KNOWN.get(name)
    if read is not None and (scheme in WITH_TLS or not name.startswith("ssl_")):
        return read
    if read is not None:
        encrypted = _with_tls(scheme)
        raise ConfigError(
            f"the URL's option {name} goes with {encrypted}:// only, which is TLS: write {encrypted}://, or leave it "
            "out"
        )
    if name in OF_SENTINELS or name.startswith("sentinel_ssl_"):
        raise ConfigError(
            f"the URL's option {name} goes with sentinel:// only, which asks sentinels where the server is: write "
            "sentinel://host:26379/0?master_name=mymaster, or leave it out"
        )
    if name in _LOGIN:
        form = "unix://user:password@/path" if scheme == "unix" else f"{scheme}://user:password@host"
        raise ConfigError(f"the URL's option {name} is not taken: write {form}, and {ENCODED}")
    if name == _VIRTUAL_HOST:
        raise ConfigError(
            f"the URL's option {name} is not known for a server in the network: the database's number stands behind "
            f"the host, {scheme}://host:port/1"
        )
    if name == "ssl":
        encrypted = scheme if scheme in WITH_TLS else _with_tls(scheme)
        raise ConfigError(f"the URL's option ssl is not taken: {encrypted}:// says it; leave it out")
    if name in _OURS:
        raise decided_here(name)
    raise unknown(name, [*_KNOWN, *(OF_SENTINELS if scheme in _SENTINELS else ())])
