"""The certificate that is made, and HTTPS over a real server with it."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509

from stream.errors import ConfigError
from stream.gateway.names import host_of, machine_names
from stream.gateway.settings import GatewaySettings
from stream.gateway.tls import LASTS, RENEWED, certificate_for, fingerprint, made_certificate
from tests.stream.gateway_house import GatewayHouse

NAMES = ("localhost", "127.0.0.1", "::1", "box.local", "192.168.7.9")


def names_in(path):
    read = x509.load_pem_x509_certificate(path.read_bytes())
    return {
        str(one.value) for one in read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    }


def test_it_is_made_once_for_all_names_and_its_key_is_the_owners(tmp_path):
    own = GatewaySettings(tls=True)
    certificate, key = certificate_for(own, tmp_path, NAMES)
    assert names_in(certificate) == set(NAMES)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = certificate.read_bytes()
    assert certificate_for(own, tmp_path, NAMES)[0].read_bytes() == before
    assert len(fingerprint(certificate).split(":")) == 32


def test_it_is_made_anew_for_new_names_near_its_end_and_when_damaged(tmp_path):
    own = GatewaySettings(tls=True)
    certificate, key = certificate_for(own, tmp_path, NAMES)
    before = certificate.read_bytes()
    certificate_for(own, tmp_path, (*NAMES, "10.1.2.3"))
    assert "10.1.2.3" in names_in(certificate)
    assert certificate.read_bytes() != before
    old, _ = made_certificate(NAMES, datetime.now(UTC) - LASTS + RENEWED - timedelta(days=1))
    certificate.write_text(old)
    certificate_for(own, tmp_path, NAMES)
    assert certificate.read_text() != old
    certificate.write_text("damaged")
    certificate_for(own, tmp_path, NAMES)
    assert names_in(certificate) == set(NAMES)
    before = certificate.read_bytes()
    key.chmod(0o644)
    certificate_for(own, tmp_path, NAMES)
    assert certificate.read_bytes() != before


def test_the_owners_own_has_to_be_whole_and_readable(tmp_path):
    with pytest.raises(ConfigError, match="go together"):
        certificate_for(GatewaySettings(tls=True, certificate=tmp_path / "a.pem"), tmp_path, NAMES)
    both = GatewaySettings(tls=True, certificate=tmp_path / "a.pem", certificate_key=tmp_path / "b.pem")
    with pytest.raises(ConfigError, match=r"a\.pem cannot be read"):
        certificate_for(both, tmp_path, NAMES)


def test_https_is_served_with_it_and_trusted_by_who_knows_it(tmp_path):
    with GatewayHouse(tmp_path / "store", tls=True) as house:
        trust = ssl.create_default_context(cafile=str(house.store_dir / "gateway" / "certificate.pem"))
        base = f"https://127.0.0.1:{house.port}"
        with httpx2.Client(base_url=base, verify=trust) as client:
            assert client.get("/healthz").json() == {"ok": True}
            told = client.post("/api/v1/session", json={"token": house.token()}, headers={"origin": base})
            assert "secure" in told.headers["set-cookie"].lower()
        with httpx2.Client(base_url=base) as stranger, pytest.raises(httpx2.ConnectError):
            stranger.get("/healthz")


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:80", "localhost"),
        ("box.local.:80", "box.local"),
        ("[::1]:8765", "::1"),
        ("[::1]", "::1"),
        ("::1", None),
        ("", None),
        (":80", None),
        ("a:b", None),
        ("[::1", None),
        ("[::1]x", None),
        ("a@b", None),
        ("a/b", None),
    ],
)
def test_the_host_of_a_header(told, host):
    assert host_of(told) == host


def test_loopback_is_called_by_its_own_names_alone():
    assert machine_names("127.0.0.1") == ("localhost", "127.0.0.1", "::1")
    assert "192.168.7.9" in machine_names("192.168.7.9")
