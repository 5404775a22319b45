"""What the listener of the embedded server proves itself with: a certificate of its own, and a password."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nbtasks.core.errors import ConfigError
from nbtasks.local.folder import private_folder
from nbtasks.local.keyfile import read_private, write_private

from .keeper.tlsproxy import CERTIFICATE_FILE, PASSWORD_FILE

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: It is trusted because it came with the invitation. Its dates say nothing, and a machine's clock may be far off.
_FROM = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)
_UNTIL = dt.datetime(2100, 1, 1, tzinfo=dt.timezone.utc)
PORT_FILE = "port"
_CERTIFICATE_MARK = "-----BEGIN CERTIFICATE-----"


def prove(folder: Path) -> tuple[str, str]:
    """Return certificate (PEM) and password of a listener, made where there are none.

    Args:
        folder: where they are, with the private key; it is made with mode 0700.

    Raises:
        ConfigError: they cannot be made or read.
    """
    private_folder(folder)
    certificate = _kept(folder / CERTIFICATE_FILE, _new_certificate)
    password = _kept(folder / PASSWORD_FILE, lambda: secrets.token_urlsafe(32) + "\n")
    return certificate[certificate.index(_CERTIFICATE_MARK) :].strip(), password.strip()


def forget(folder: Path) -> None:
    """Remove certificate, password and port: earlier invitations open nothing any more."""
    for name in (CERTIFICATE_FILE, PASSWORD_FILE, PORT_FILE):
        (folder / name).unlink(missing_ok=True)


def last_port(folder: Path) -> int:
    """Return the port of the last time, at which invited workers still knock; 0 where there is none."""
    try:
        return int((folder / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def keep_port(folder: Path, port: int) -> None:
    """Remember the port for the next time."""
    file = folder / PORT_FILE
    file.touch(mode=0o600)
    file.write_text(f"{port}\n", encoding="ascii")


def _kept(path: Path, make: Callable[[], str]) -> str:
    try:
        return read_private(path)
    except FileNotFoundError:
        text = make()
    try:
        write_private(path, text)
    except FileExistsError:
        # Another notebook was faster: its is ours.
        return read_private(path)
    return text


def _new_certificate() -> str:
    """Return a new private key with its self-signed certificate, as PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        raise ConfigError(
            "a listener needs a certificate, and the package that makes it is missing: "
            "run `pip install 'nbtasks[listen]'`"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nbtasks")])
    public = key.public_key()
    certificate: Certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        # Strict verification, the default from Python 3.13 on, asks for these two.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + certificate.public_bytes(serialization.Encoding.PEM)).decode()
