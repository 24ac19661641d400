"""Certificates of a day for the tests: an authority, a server on the loopback, a client."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Of the client's key.
PASSWORD = "sesame"


class Certificates:
    """Files in a folder: `ca.pem`, and for `server` and `client` a `.pem` and a `.key`."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        self._server, self._server_key = folder / "server.pem", folder / "server.key"
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _signed("authority", key.public_key(), key, "authority", is_authority=True)
        self.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        for name, certificate, file in (
            ("localhost", self._server, self._server_key),
            ("worker", self.client, self.client_key),
        ):
            own = ec.generate_private_key(ec.SECP256R1())
            signed = _signed(name, own.public_key(), key, "authority")
            certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
            file.write_bytes(
                own.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.BestAvailableEncryption(PASSWORD.encode())
                    if name == "worker"
                    else serialization.NoEncryption(),
                )
            )

    def server(self, *, asks: bool) -> ssl.SSLContext:
        """The server's side of TLS.

        Args:
            asks: whether it asks for the client's certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server, self._server_key)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


def _signed(
    name: str,
    public_key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    is_authority: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(key_id, critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(signer, hashes.SHA256())
    )
