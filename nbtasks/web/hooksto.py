"""Which URLs may be called when a task ends that was called over HTTP. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from nbtasks.client.calledurls import check_url, webhook
from nbtasks.core.errors import ConfigError


class HooksTo:
    """Those that begin so. Whoever has the token could else have workers ask for anything in their network.

    Args:
        beginnings: such as ``https://example.org/hooks/``.
    """

    def __init__(self, beginnings: Iterable[str] = ()) -> None:
        # With a slash: nothing begins with a part of a host's name.
        self._beginnings = tuple(_beginning(one) for one in beginnings)

    def linked(self, url: Any, queue: Any) -> dict[str, Any]:
        """Return the options of a call whose end is told to a URL; none where there is no URL.

        Args:
            queue: of the call: its workers tell the URL, too; None where none was named.

        Raises:
            ConfigError: it may not be called.
        """
        if url is None:
            return {}
        if not isinstance(url, str):
            raise ConfigError("webhook is a URL")
        if not self._allows(_written(url)):
            allowed = ", ".join(self._beginnings) or "none, as it was started without --webhooks-to"
            raise ConfigError(f"webhook: this dashboard calls URLs that begin with: {allowed}")
        return dict(webhook(url) if queue is None else webhook(url, queue=queue))

    def _allows(self, url: str) -> bool:
        # Whoever asks there goes up where the path says so, or the server does.
        steps = unquote(urlsplit(url).path).replace("\\", "/").split("/")
        if "." in steps or ".." in steps:
            return False
        return any(
            url == one or (url.startswith(one) and (one[-1] in "/?=&" or url[len(one)] in "/?#"))
            for one in self._beginnings
        )


def _beginning(url: str) -> str:
    try:
        return _written(url if url.count("/") > 2 else f"{url}/")
    except ConfigError:
        raise ConfigError(
            f"--webhooks-to: {url!r:.100} is no beginning of URLs such as https://example.org/hooks"
        ) from None


def _written(url: str) -> str:
    """Return a URL with its host in small letters.

    Raises:
        ConfigError: it is none.
    """
    scheme, _, rest = check_url(url).partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"
