"""Makes the embedded server reachable from other machines, and says under which URL."""

from __future__ import annotations

import socket
from urllib.parse import quote

from nbtasks.core.errors import ConfigError

from .embeddedlease import EmbeddedLease

EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked for by the user, and nothing is served without TLS and password
_FORMS = "write HOST:PORT, for example 0.0.0.0:6390; without a port any free one is taken"


def parse_place(text: str | bool) -> tuple[str, int]:
    """Return host and port from ``HOST[:PORT]``; True is all addresses of this machine, any free port.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(text, bool):
        return EVERYWHERE, 0
    host, colon, port = text.strip().rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text.strip(), "0"
    host = host.removeprefix("[").removesuffix("]") or EVERYWHERE
    if any(letter.isspace() for letter in host) or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"listen: {text!r} is not an address to listen on; {_FORMS}")
    return host, int(port)


def open_listener(lease: EmbeddedLease, where: str | bool = True, host: str | None = None) -> str:
    """Let other machines reach the server; return the URL for them. It holds password and certificate.

    Args:
        lease: a lease on the server.
        where: see :func:`parse_place`. Without a port it is that of the last time, if it is free: workers that were
            invited then come back by themselves.
        host: the name under which other machines know this one; None: its address in the network.

    Raises:
        ConfigError: the address is wrong or taken, or no certificate can be made.
    """
    # Needs asyncio and cryptography, which nobody shall load who stays at home.
    from . import certificate

    address, port = parse_place(where)
    certificate.prove(lease.listen_folder)
    try:
        _, port = lease.listen(address, port or certificate.last_port(lease.listen_folder))
    except ConfigError:
        if port:
            raise
        # Somebody else has the port of the last time.
        _, port = lease.listen(address, 0)
    certificate.keep_port(lease.listen_folder, port)
    return str(listener_url(lease, host))


def close_listener(lease: EmbeddedLease) -> None:
    """Let nobody in any more; earlier invitations are void, also when it listens again."""
    from . import certificate

    lease.deafen()
    certificate.forget(lease.listen_folder)


def listener_url(lease: EmbeddedLease, host: str | None = None) -> str | None:
    """Return the URL for other machines; None where it does not listen."""
    found = lease.listening()
    if found is None:
        return None
    from . import certificate
    from .keeper import tlsproxy

    authority, password = certificate.prove(lease.listen_folder)
    name = host or outward_address(found[0])
    shown = f"[{name}]" if ":" in name else name
    # The certificate itself is trusted, whatever the machine is called from over there.
    return (
        f"rediss://{tlsproxy.USER}:{password}@{shown}:{found[1]}/0"
        f"?ssl_check_hostname=false&ssl_ca_data={quote(authority, safe='')}"
    )


def outward_address(host: str) -> str:
    """Return an address that other machines may use for ``host``, which may stand for all addresses."""
    if host not in {EVERYWHERE, "::"}:
        return host
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only chooses the way it would go.
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
