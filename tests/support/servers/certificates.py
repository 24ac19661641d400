"""Certificates for the tests: an authority, and what it signs for servers and clients."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Of the client's key.
PASSWORD = "sesame"

_DAY = datetime.timedelta(days=1)

_NO_PASSWORD = serialization.NoEncryption()


class Authority:
    """An authority whose certificate is the file `NAME.pem` in a folder.

    Args:
        folder: where its files go.
        name: of the authority.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        certificate = self._signed(name, self._key.public_key(), _DAY, is_authority=True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        file: str = "",
        password: str = "",
        expired: bool = False,
        with_key: bool = False,
    ) -> tuple[Path, Path]:
        """Sign a certificate of a day. Gives the files of it and of its key, `.pem` and `.key`.

        Args:
            name: a host's or a client's.
            file: the files' name; empty takes `name`. What is there is replaced at once.
            password: of the key.
            expired: whether its day is over.
            with_key: whether the key stands in the certificate's file too, as Apache Kafka has it.
        """
        own = ec.generate_private_key(ec.SECP256R1())
        until = -_DAY / 2 if expired else _DAY
        signed = self._signed(name, own.public_key(), until)
        certificate, key = (
            self._folder / f"{file or name}.pem",
            self._folder / f"{file or name}.key",
        )
        secret = (
            serialization.BestAvailableEncryption(password.encode()) if password else _NO_PASSWORD
        )
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        key.write_bytes(own.private_bytes(*form, secret))
        text = signed.public_bytes(serialization.Encoding.PEM)
        # An own name first, since a reader may look at any moment.
        new = certificate.with_suffix(".new")
        new.write_bytes(own.private_bytes(*form, _NO_PASSWORD) + text if with_key else text)
        new.replace(certificate)
        return certificate, key

    def _signed(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        until: datetime.timedelta,
        *,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + until)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(_usage(is_authority), critical=True)
            .add_extension(key_id, critical=False)
            .add_extension(issuer_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )


class Certificates:
    """Files in a folder: `ca.pem`, and for `localhost` and `worker` a `.pem` and a `.key`."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.ca = authority.file
        self._server, self._server_key = authority.issue("localhost")
        self.client, self.client_key = authority.issue("worker", password=PASSWORD)

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


def _usage(is_authority: bool) -> x509.KeyUsage:
    """Python 3.13 and later take no authority that does not say what its key is for."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=not is_authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
