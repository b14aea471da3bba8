"""The certificate: the owner's, or one that is made in the store for the names of this machine.

Browsers give a camera to pages of localhost or HTTPS alone, so a phone on the local network needs one. It is
signed by itself: a browser asks once, and its print can be compared.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream.errors import ConfigError
from stream.gateway.keys import gateway_dir, write_private
from stream.gateway.settings import GatewaySettings

LASTS = timedelta(days=365)
"""Browsers refuse certificates of more than 398 days."""
RENEWED = timedelta(days=30)
"""With less left, it is made anew at the next start."""


def certificate_for(own: GatewaySettings, store_dir: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """The files of certificate and private key.

    Args:
        own: May name the owner's.
        store_dir: Where one is kept that is made.
        names: Host names and addresses that it is for.

    Raises:
        ConfigError: If the owner's cannot be read, or it cannot be written.
    """
    if own.certificate is not None or own.certificate_key is not None:
        return _owners(own.certificate, own.certificate_key)
    folder = gateway_dir(store_dir)
    certificate, key = folder / "certificate.pem", folder / "certificate.key"
    wanted = frozenset(names)
    if not (_stands(certificate, wanted) and _is_private(key)):
        made, made_key = made_certificate(sorted(wanted))
        write_private(key, made_key)
        write_private(certificate, made)
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate, as browsers show it.

    Raises:
        ConfigError: If it is none.
    """
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{certificate} holds no certificate", remedy="delete it, and start again"
        ) from error
    return read.fingerprint(hashes.SHA256()).hex(":").upper()


def made_certificate(names: Iterable[str], now: datetime | None = None) -> tuple[str, str]:
    """A certificate that is signed by its own key, and that key, as PEM.

    Args:
        names: Host names and addresses.
        now: From when on it holds; five minutes earlier, in fact, since clocks differ.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    begins = (now or datetime.now(UTC)) - timedelta(minutes=5)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OmniRecall")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + LASTS)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return built.public_bytes(pem).decode("ascii"), private.decode("ascii")


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _stands(path: Path, names: frozenset[str], now: datetime | None = None) -> bool:
    """Whether a certificate is for all these names, and holds long enough."""
    try:
        read = x509.load_pem_x509_certificate(path.read_bytes())
        told = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    held = {str(one.value) for one in told}
    return names <= held and read.not_valid_after_utc - (now or datetime.now(UTC)) > RENEWED


def _is_private(path: Path) -> bool:
    try:
        return not path.stat().st_mode & 0o077
    except OSError:
        return False


def _owners(certificate: Path | None, key: Path | None) -> tuple[Path, Path]:
    if certificate is None or key is None:
        raise ConfigError(
            "gateway.certificate and gateway.certificate_key go together", remedy="name both files"
        )
    for path in (certificate, key):
        if not os.access(path.expanduser(), os.R_OK):
            raise ConfigError(f"{path} cannot be read", remedy="name a PEM file that this user may read")
    return certificate.expanduser(), key.expanduser()
