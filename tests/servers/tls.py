"""Certificates for servers on loopback, of an authority that nobody else knows."""

from __future__ import annotations

from pathlib import Path

import trustme

from .server import give


class Certificates:
    """An authority, and the certificate and key of one server, as files in its folder."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.chain, self.key = (
            folder / f"{name}.pem" for name in ("authority", "chain", "key")
        )
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(self.authority)
        certificate.private_key_pem.write_to_path(self.key)
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(self.chain, append=True)
        self.key.chmod(0o600)
        for path in (self.authority, self.chain, self.key):
            give(path)
