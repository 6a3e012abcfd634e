"""Downloads of official releases, from a real server on loopback: what is accepted, what is refused, and how soon they give up."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from toolchain_support import ReleaseServer, tarball

from toolchain.errors import Stopped, Unavailable
from toolchain.processes import Children
from toolchain.releases import Releases
from toolchain.routes import Release

pytestmark = pytest.mark.loopback

Serve = Callable[..., ReleaseServer]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder


def fetch(release: Release, into: Path, releases: Releases | None = None) -> None:
    (releases or Releases(children=Children())).fetch(release, into=into, report=lambda _: None)


def test_a_release_with_the_right_digest_is_unpacked(serve_release: Serve, into: Path) -> None:
    content = tarball({"pulumi/pulumi": "cli", "pulumi/pulumi-language-python": "host", "pulumi/doc/readme": "no", "../escape": "no", "/abs": "no"})
    fetch(serve_release(content).release(), into)
    assert {file.name for file in (into / "bin").iterdir()} == {"pulumi", "pulumi-language-python"}, "the files of its folder, and nothing elsewhere"
    assert (into / "bin" / "pulumi").stat().st_mode & 0o111, "and they can be run"
    assert not (into.parent / "escape").exists(), "an archive writes nowhere else"
    assert [file.name for file in into.iterdir()] == ["bin"], "the archive itself is not kept"


def test_a_release_with_another_digest_is_refused_and_both_digests_are_named(serve_release: Serve, into: Path) -> None:
    server = serve_release()
    with pytest.raises(Unavailable) as refusal:
        fetch(server.release(sha256="0" * 64), into)
    assert server.release().sha256 in str(refusal.value), "what was served"
    assert "0" * 64 in str(refusal.value), "what is pinned"
    assert not (into / "bin").exists(), "nothing of it is unpacked"


def test_a_refused_connection_ends_it_at_once_and_is_not_tried_again(serve_release: Serve, into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = serve_release()
    releases = Releases(children=Children())
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"127.0.0.1 cannot be reached \(.*refused\)"):
        fetch(ReleaseServer(port=port, content=b"").release(), into, releases)
    assert time.monotonic() - started < 1, "there is nothing to wait for"

    with pytest.raises(Unavailable, match=r"not tried: 127.0.0.1 cannot be reached"):
        fetch(server.release(), into, releases)
    assert server.requests == [], "one host that cannot be reached ends the downloads of this run"


def test_silent_servers_share_one_allowance(into: Path) -> None:
    releases = Releases(children=Children(), allowance=1)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        release = ReleaseServer(port=silent.getsockname()[1], content=b"").release()
        for _ in range(4):
            with pytest.raises(Unavailable, match="did not answer, or too slowly"):
                fetch(release, into, releases)
    assert 0.9 < time.monotonic() - started < 3, "four releases wait no longer than one"


def test_a_server_that_only_trickles_is_given_up(serve_release: Serve, into: Path) -> None:
    server = serve_release(b"x" * 10_000, pause=lambda: time.sleep(0.05))
    started = time.monotonic()
    with pytest.raises(Unavailable, match="too slowly"):
        fetch(server.release(), into, Releases(children=Children(), allowance=0.3))
    assert time.monotonic() - started < 5, "bytes that come too slowly are no reason to go on"


def test_a_download_that_works_may_take_longer_than_the_allowance(serve_release: Serve, into: Path) -> None:
    archive = tarball({"pulumi/pulumi": "cli"})
    chunks = iter([0.0] * (len(archive) // 10) + [0.4])
    server = serve_release(archive, pause=lambda: time.sleep(next(chunks)))
    fetch(server.release(), into, Releases(children=Children(), allowance=0.6))
    assert (into / "bin" / "pulumi").exists(), "0.4 s of 0.6 s were spent waiting, and the rest arrived"


def test_a_file_that_is_gone_does_not_close_the_others(serve_release: Serve, into: Path) -> None:
    server = serve_release()
    releases = Releases(children=Children())
    with pytest.raises(Unavailable, match="answered with status 404"):
        fetch(server.release(path="/absent.tar.gz"), into, releases)
    fetch(server.release(), into, releases)
    assert (into / "bin" / "pulumi").exists(), "the host can be reached, so the next file is tried"


def test_downloads_can_be_switched_off(serve_release: Serve, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_RELEASES", "off")
    server = serve_release()
    with pytest.raises(Unavailable, match="not tried: SERVICE_FAILOVER_RELEASES=off"):
        fetch(server.release(), into)
    assert server.requests == [], "not a single request"


def test_a_stopped_install_does_not_wait_for_a_download(into: Path) -> None:
    children = Children()
    children.stop()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Stopped):
        fetch(ReleaseServer(port=silent.getsockname()[1], content=b"").release(), into, Releases(children=children))


def test_https_needs_a_certificate_that_is_trusted(serve_release: Serve, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)

    def wrap(server: ThreadingHTTPServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)

    server = serve_release(wrap=wrap)
    server.scheme = "https"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(Unavailable, match="certificate verify failed"):
        fetch(server.release(), into)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetch(server.release(), into)
    assert (into / "bin" / "pulumi").exists(), "the same server, with a certificate the machine trusts"


def self_signed(folder: Path) -> Path:
    """A file with the key and certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
    builder = builder.add_extension(address, critical=False).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    file = folder / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(pem))
    return file
