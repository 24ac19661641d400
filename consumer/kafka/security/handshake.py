"""Finds out why brokers do not let a client in; the client itself says little or nothing.

Of all wrong certificates librdkafka says the same, and of a port that speaks no TLS, or nothing
but TLS, that the connection ended. So this makes the first steps of a connection by itself: TLS,
then which mechanisms of SASL there are. It sends no name and no password.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from consumer.kafka.addresses import Address, written
from consumer.kafka.security import wire
from consumer.kafka.security.x509 import Certificate, read_der, read_pem

#: Seconds for each step of a connection.
_STEP_S = 3.0

#: Seconds in which a broker that does not take a client's certificate says so.
_ALERT_S = 1.0

#: Addresses that are tried; those of a cluster are alike.
_ADDRESSES = 4


class _Verify(IntEnum):
    """OpenSSL's reasons to refuse a certificate (X509_V_ERR)."""

    UNABLE_TO_GET_ISSUER = 2
    NOT_YET_VALID = 9
    EXPIRED = 10
    SELF_SIGNED = 18
    SELF_SIGNED_IN_CHAIN = 19
    UNABLE_TO_GET_ISSUER_LOCALLY = 20
    UNABLE_TO_VERIFY_LEAF = 21
    HOSTNAME = 62
    ADDRESS = 64


_TIMES = frozenset({_Verify.NOT_YET_VALID, _Verify.EXPIRED})
_NAMES = frozenset({_Verify.HOSTNAME, _Verify.ADDRESS})
_ISSUERS = frozenset(_Verify) - _TIMES - _NAMES


class Handshake:
    """Tries connections under the properties of a client.

    Args:
        properties: those of librdkafka, secrets and all.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._given = properties
        protocol = properties.get("security.protocol", "plaintext").upper()
        self._protocol = protocol
        self._uses_tls, self._uses_sasl = protocol.endswith("SSL"), protocol.startswith("SASL")
        self._mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms", "")

    def refusal(self, addresses: Iterable[Address]) -> str:
        """Why none of these addresses lets the client in: what is wrong, a semicolon, what would be
        right. Empty where one of them does, or where that cannot be said. Blocks for some seconds.
        """
        first = ""
        for host, port in list(addresses)[:_ADDRESSES]:
            why = self.refusal_at(host, port)
            if not why:
                return ""
            first = first or why
        return first

    def refusal_at(self, host: str, port: int) -> str:
        """The same of one address."""
        try:
            look = self._tls_refusal if self._uses_tls else self._plain_refusal
            return look(host, port)
        except OSError:
            return ""  # it is away, or has its own troubles

    # --- With TLS

    def _tls_refusal(self, host: str, port: int) -> str:
        where = written(host, port)
        try:
            with _connected(host, port, self._context()) as stream:
                return self._sasl_refusal(stream, where)
        except ssl.SSLCertVerificationError as fault:
            return self._certificate_refusal(fault, host, port)
        except (OSError, wire.NoKafka) as fault:
            reason = getattr(fault, "reason", None) or ""
        if "ALERT" not in reason:
            # A broker that closes at once may take its own alert with it.
            reason = self._alert(host, port)
        if "ALERT" in reason and self._is_about_certificate(reason):
            return self._client_refusal(where, reason)
        if _speaks_plainly(host, port):
            plain = "SASL_PLAINTEXT" if self._uses_sasl else "PLAINTEXT"
            return (
                f"{where} speaks no TLS, and kafka.security.protocol is {self._protocol}; name the "
                f"port of the brokers that speaks TLS, or set kafka.security.protocol={plain}"
            )
        return ""

    def _alert(self, host: str, port: int) -> str:
        """What a broker says of a client that asks for nothing."""
        try:
            with _connected(host, port, self._context()) as stream:
                stream.settimeout(_ALERT_S)
                stream.recv(1)
        except OSError as fault:
            return getattr(fault, "reason", None) or ""
        return ""

    def _certificate_refusal(
        self, fault: ssl.SSLCertVerificationError, host: str, port: int
    ) -> str:
        where, code = written(host, port), fault.verify_code
        found = self._shown(host, port)
        if code in _TIMES:
            when = "" if found is None else found.fault(datetime.now(UTC))
            return (
                f"the certificate of {where} {when or fault.verify_message}; renew it on the "
                "broker; or this machine's clock is wrong"
            )
        if code in _NAMES:
            names = self._names(host, port)
            whose = f" is for {', '.join(names)}, not for" if names else " does not name"
            return (
                f"the certificate of {where}{whose} {host}; take a name that is in it "
                "(bootstrap_servers, advertised.listeners of the broker), or give the broker a "
                f"certificate for {host}"
            )
        if code in _ISSUERS:
            issuer = f'"{found.issuer}"' if found is not None and found.issuer else "an authority"
            if (file := self._given.get("ssl.ca.location", "")) or "ssl.ca.pem" in self._given:
                trusted = f"which is not in {file or 'kafka.ssl.ca.pem'} (kafka.ssl.ca.location)"
            else:
                trusted = "which this machine does not know"
            return (
                f"the certificate of {where} was issued by {issuer}, {trusted}; set "
                "kafka.ssl.ca.location to the file of the authority that the brokers' certificates "
                "are from"
            )
        return (
            f"the certificate of {where} is refused: {fault.verify_message}; renew it on the "
            "broker, or correct kafka.ssl.ca.location"
        )

    def _client_refusal(self, where: str, reason: str) -> str:
        """The broker did not take this client's certificate, or got none."""
        file = self._given.get("ssl.certificate.location", "")
        if not (file or {"ssl.certificate.pem", "ssl.keystore.location"} & self._given.keys()):
            return (
                f"{where} asks for a certificate of the client, and none is set; set "
                "kafka.ssl.certificate.location and kafka.ssl.key.location"
            )
        own = own_certificate(self._given)
        named = f"the client's certificate {file or '(kafka.ssl.*)'}"
        if own is not None and (fault := own.fault(datetime.now(UTC))):
            return f"{named} {fault}, and {where} does not take it; renew it"
        issuer = f', issued by "{own.issuer}"' if own is not None and own.issuer else ""
        said = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return (
            f"{where} does not take {named}{issuer} ({said}); take one of an authority that the "
            "brokers trust (their ssl.truststore), or add that authority there"
        )

    @staticmethod
    def _is_about_certificate(reason: str) -> bool:
        return "CERTIFICATE" in reason or "UNKNOWN_CA" in reason or "HANDSHAKE_FAILURE" in reason

    def _context(self) -> ssl.SSLContext:
        """What the client's properties come to.

        Raises:
            OSError: a file cannot be read; the client says so itself.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # As librdkafka does.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        given = self._given
        algorithm = given.get("ssl.endpoint.identification.algorithm", "https").lower()
        context.check_hostname = algorithm == "https"
        if given.get("enable.ssl.certificate.verification", "true").lower() in _NO:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if authority := given.get("ssl.ca.location", ""):
            if Path(authority).is_dir():
                context.load_verify_locations(capath=authority)
            elif authority != "probe":
                context.load_verify_locations(authority)
        elif "ssl.ca.pem" in given:
            context.load_verify_locations(cadata=given["ssl.ca.pem"])
        else:
            context.load_default_certs()
        if certificate := given.get("ssl.certificate.location", ""):
            context.load_cert_chain(
                certificate,
                given.get("ssl.key.location"),
                # Without one, OpenSSL would ask on the terminal.
                lambda: given.get("ssl.key.password", ""),
            )
        return context

    # --- Without TLS

    def _plain_refusal(self, host: str, port: int) -> str:
        where = written(host, port)
        with contextlib.suppress(OSError, wire.NoKafka), _connected(host, port, None) as stream:
            return self._sasl_refusal(stream, where)
        if _speaks_tls(host, port):
            tls = "SASL_SSL" if self._uses_sasl else "SSL, or to SASL_SSL where it asks for a user"
            return (
                f"{where} speaks TLS, and kafka.security.protocol is {self._protocol}; set it to "
                f"{tls}"
            )
        return ""

    # --- With either

    def _sasl_refusal(self, stream: socket.socket, where: str) -> str:
        """What a broker says that has let us in so far.

        Raises:
            OSError: the connection ends.
            NoKafka: another protocol is spoken.
        """
        wire.ask_versions(stream)
        takes, mechanisms = wire.ask_mechanism(stream, self._mechanism if self._uses_sasl else "")
        known = ", ".join(mechanisms)
        if self._uses_sasl and takes is None:
            plain = "SSL" if self._uses_tls else "PLAINTEXT"
            return (
                f"{where} asks for no user (no SASL), and kafka.security.protocol is "
                f"{self._protocol}; name the port of the brokers that has SASL, or set "
                f"kafka.security.protocol={plain}"
            )
        if self._uses_sasl and not takes:
            return (
                f"{where} does not have kafka.sasl.mechanism={self._mechanism}; it has {known}: "
                "take one of these"
            )
        if not self._uses_sasl and takes is not None:
            sasl = "SASL_SSL" if self._uses_tls else "SASL_PLAINTEXT"
            return (
                f"{where} asks for a user (SASL: {known}), and kafka.security.protocol is "
                f"{self._protocol}; set kafka.security.protocol={sasl}, kafka.sasl.mechanism, "
                "kafka.sasl.username and kafka.sasl.password_file"
            )
        return ""

    def _shown(self, host: str, port: int) -> Certificate | None:
        """The certificate that a broker shows, whatever it is worth."""
        der = _shown_der(host, port)
        return None if der is None else read_der(der)

    def _names(self, host: str, port: int) -> list[str]:
        """The hosts that a broker's certificate names."""
        der = _shown_der(host, port)
        if der is None:
            return []
        # Python tells the names of a certificate that is valid: so this one is trusted by itself.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        with contextlib.suppress(OSError):
            context.load_verify_locations(cadata=der)
            with _connected(host, port, context) as stream:
                told = stream.getpeercert() if isinstance(stream, ssl.SSLSocket) else None
                names = (told or {}).get("subjectAltName", ())
                return [str(one[1]) for one in names if isinstance(one, tuple)]
        return []


def own_certificate(properties: Mapping[str, str]) -> Certificate | None:
    """The client's certificate; None where it has none, or none that can be read here."""
    text = properties.get("ssl.certificate.pem", "")
    if not text and (file := properties.get("ssl.certificate.location", "")):
        with contextlib.suppress(OSError, ValueError):
            text = Path(file).read_text("ascii", "replace")
    return read_pem(text)


#: How librdkafka reads no.
_NO = frozenset({"false", "f", "0"})


def _connected(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    plain = socket.create_connection((host, port), _STEP_S)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shown_der(host: str, port: int) -> bytes | None:
    with contextlib.suppress(OSError), _connected(host, port, _unverified()) as stream:
        return stream.getpeercert(True) if isinstance(stream, ssl.SSLSocket) else None
    return None


def _speaks_tls(host: str, port: int) -> bool:
    try:
        _connected(host, port, _unverified()).close()
    except ssl.SSLError as fault:
        # An alert is an answer in TLS.
        return "ALERT" in (fault.reason or "").upper()
    except OSError:
        return False
    return True


def _speaks_plainly(host: str, port: int) -> bool:
    try:
        with _connected(host, port, None) as stream:
            wire.ask_versions(stream)
    except (OSError, wire.NoKafka):
        return False
    return True
