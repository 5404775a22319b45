"""Who may do what over HTTP: a token, then a cookie; no other site's page, whatever name it calls this one by. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nbtasks.core.errors import ConfigError

#: Characters of a token: fewer can be guessed.
LEAST_TOKEN, _MOST_TOKEN = 16, 500
CSRF_HEADER = "x-csrf-token"
_OWN_PORTS = {"http": ":80", "https": ":443"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(32)


def check_token(token: str, said_by: str) -> str:
    """Return a token.

    Raises:
        ConfigError: it can be guessed, or it cannot stand in a URL.
    """
    usable = token.isascii() and token.isprintable() and not set(token) & set(" &#%+?/;\"'<>\\")
    if not (LEAST_TOKEN <= len(token) <= _MOST_TOKEN and usable):
        raise ConfigError(
            f"{said_by}: a token has {LEAST_TOKEN} to {_MOST_TOKEN} letters, digits, '-' and '_'; "
            'make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return token


@dataclass(frozen=True)
class Denial:
    """Why a request is refused."""

    status: int
    said: str


class Admission:
    """Decides.

    Args:
        token: whoever has it may look, and act where that is allowed.
        names: under which this server is reached besides those of this machine, with a port where there is one.
        public_url: under which a reverse proxy shows it; empty where there is none.
    """

    def __init__(self, token: str, names: Iterable[str] = (), public_url: str = "") -> None:
        self._token = token.encode()
        self._public = _origin(public_url)
        # Neither tells the token to who gets hold of it, and both are the same after a restart.
        self.cookie = self._derived(b"nbtasks cookie")
        self.csrf = self._derived(b"nbtasks csrf")
        #: Dashboards on several ports of one machine share their cookies.
        self.cookie_name = f"nbtasks_{self._derived(b'nbtasks name')[:8]}"
        own = (socket.gethostname(), socket.getfqdn())
        self._hosts = {_bare(name) for name in (*_LOOPBACK, *own, *names)}

    def _derived(self, what: bytes) -> str:
        return hmac.new(self._token, what, hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Whether a text is the token; it takes as long whatever it is."""
        return hmac.compare_digest(text.encode(errors="replace"), self._token)

    def is_cookie(self, text: str) -> bool:
        """Whether a text is the cookie."""
        return hmac.compare_digest(text.encode(errors="replace"), self.cookie.encode())

    def is_csrf(self, text: str) -> bool:
        """Whether a text is what only pages of this server know."""
        return hmac.compare_digest(text.encode(errors="replace"), self.csrf.encode())

    def place_denied(self, headers: Mapping[str, str], *, navigates: bool) -> Denial | None:
        """Return why a request is refused for where it comes from; None where it is not.

        Args:
            navigates: it asks for the page itself, with its token: that may follow a link from anywhere.
        """
        host = headers.get("host", "")
        if not self._is_own(host):
            return Denial(
                403,
                f"this server is not called {_bare(host)[:100]!r}; if it is, start it with --public-url",
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_own_page(origin, host):
            return Denial(403, "a page of another site has asked for this")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and not navigates:
            return Denial(403, "a page of another site has asked for this")
        return None

    def _is_own_page(self, origin: str, host: str) -> bool:
        """Whether a page of this very server has asked; one of another port is of somebody else."""
        asked = _origin(origin)
        return asked is not None and asked in (self._public, _origin(f"{asked[0]}://{host}"))

    def _is_own(self, host: str) -> bool:
        """Whether a name is one of this server's. An address is: only a name can be made to mean another machine."""
        bare = _bare(host)
        if bare in self._hosts:
            return True
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            return False
        return True


def _origin(url: str) -> tuple[str, str] | None:
    """Return scheme and place of a URL, the port where it is not the scheme's own; None where it is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not parts.scheme or not parts.netloc:
        return None
    return parts.scheme, parts.netloc.lower().removesuffix(_OWN_PORTS.get(parts.scheme, ":"))


def _bare(host: str) -> str:
    """Return a host without its port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") > 1:
        return host
    return host.partition(":")[0].rstrip(".")
