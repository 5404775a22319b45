"""Why a server cannot be reached, and what to do about it. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

#: What OpenSSL says of an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST")
_NO_WAY = ("no way to it from this machine", "check the address, the network, a VPN")
_NO_FILES = ("no connection can be opened", "raise the limit of open files (ulimit -n 256), or close some")
#: What the system says -> the reason and the next step.
_STEPS = {
    errno.ENETUNREACH: _NO_WAY,
    errno.EHOSTUNREACH: _NO_WAY,
    errno.EHOSTDOWN: _NO_WAY,
    errno.ENETDOWN: _NO_WAY,
    errno.EMFILE: _NO_FILES,
    errno.ENFILE: _NO_FILES,
}

_CHECK = (
    "check that the server runs and that its URL (App(broker=...) or backend=, NBTASKS_BROKER or NBTASKS_BACKEND, "
    "connection file) is right"
)
_FIREWALL = (
    "where the server runs, a firewall on the way or a wrong address is the usual cause: "
    "check that its port is open for this machine"
)
_TRUST = (
    "get a new invitation or connection file where the old one is void; for a server of your own "
    "name its authority in the URL: rediss://...?ssl_ca_certs=/path/to/ca.pem"
)
_PLAIN = "for a server without TLS the URL begins with redis://"
_MOST_LETTERS = 400
_FULL = "max number of clients reached"
#: Kind of error, the reason (empty: the error's own words), the next step.
_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (socket.gaierror, "its name is not known here", "check the name, or write the address in numbers"),
    (ConnectionRefusedError, "nothing listens there: connection refused", _CHECK),
    (TimeoutError, "", _FIREWALL),
)


def explain(error: BaseException, label: str) -> tuple[str, str]:
    """Return the reason and the next step, for people.

    Args:
        error: what came of the attempt, with what was behind it.
        label: the URL without its secrets.
    """
    if _FULL in str(error):
        return (
            f"it serves as many clients as it may: {_FULL}",
            "end what keeps connections to it open, or raise its maxclients",
        )
    for each in behind(error):
        if isinstance(each, ssl.SSLError):
            return _of_tls(each)
        for kind, reason, step in _KINDS:
            if isinstance(each, kind):
                return reason or _text(error), step
        if isinstance(each, OSError) and each.errno in _STEPS:
            reason, step = _STEPS[each.errno]
            return f"{reason}: {each.strerror}", step
    plainly = label.partition("://")[0]
    if plainly in {"redis", "sentinel"} and _hung_up(error):
        return _text(error), f"if it speaks TLS, the URL begins with {plainly}s://; else {_CHECK}"
    return _text(error), _CHECK


def _hung_up(error: BaseException) -> bool:
    """Whether the other side has ended the connection, as one does that waits for TLS and hears none."""
    reset = any(isinstance(each, ConnectionResetError) for each in behind(error))
    return reset or "closed" in str(error)


def _of_tls(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: its certificate is not one that is trusted here, {error.verify_message}", _TRUST
    if error.reason in _NO_TLS:
        return "what answers there speaks no TLS", _PLAIN
    if isinstance(error, ssl.SSLEOFError):
        return "it ended the connection during the TLS handshake", f"{_PLAIN}; else {_CHECK}"
    return f"TLS: {error.reason or _text(error)}", _CHECK


def behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _text(error: BaseException) -> str:
    return plain(error) or type(error).__name__


def plain(error: object) -> str:
    """Return what a server has said as one line without control characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error)[:_MOST_LETTERS])
    return text.strip().rstrip(".")
