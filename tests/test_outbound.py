"""Asking strangers: only public addresses, as they are at the moment of connecting; limits on time and size; no redirects."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal import outbound
from portal.outbound import Limits, NotFetched, checked_address, fetch, is_public

Speak = Callable[[socket.socket], None]


@contextmanager
def somebody(speak: Speak) -> Iterator[str]:
    """A server that answers as `speak` does, whatever is asked: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def serve() -> None:
            try:
                while True:
                    caller, _ = listening.accept()
                    with caller:
                        caller.settimeout(20)
                        caller.recv(65536)
                        speak(caller)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/calendar.ics"
        listening.shutdown(socket.SHUT_RDWR)


def says(head: str, body: bytes = b"") -> Speak:
    """Answers with this, and hangs up."""
    return lambda caller: caller.sendall(f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode() + body)


def why_not(address: str, limits: Limits = Limits(5, 1024 * 1024)) -> str:  # noqa: B008 - frozen
    with pytest.raises(NotFetched) as refused:
        fetch(address, allow_private=True, limits=limits)
    return refused.value.message


def test_an_answer_comes_whole_with_its_status_and_headers() -> None:
    with somebody(says('200 OK\r\nETag: "one"\r\nContent-Length: 5', b"hello")) as address:
        answer = fetch(address, allow_private=True)
    assert (answer.status, answer.content, answer.headers["etag"]) == (200, b"hello", '"one"')


def test_what_is_asked_goes_along() -> None:
    heard: list[bytes] = []

    def listen(caller: socket.socket) -> None:
        says("204 No Content")(caller)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/hook?a=1"

        def serve() -> None:
            caller, _ = listening.accept()
            with caller:
                while b"\r\n\r\n{}" not in b"".join(heard):
                    heard.append(caller.recv(65536))
                listen(caller)

        threading.Thread(target=serve, daemon=True).start()
        answer = fetch(address, allow_private=True, method="POST", body=b"{}", headers={"If-None-Match": '"one"'})
    asked = b"".join(heard)
    assert answer.status == 204
    assert asked.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert b'If-None-Match: "one"' in asked
    assert b"Accept-Encoding: identity" in asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with somebody(says(f"{status} Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0")) as address:
        assert why_not(address) == outbound.REDIRECTED


def test_what_is_too_large_is_refused_before_it_is_all_here() -> None:
    sent = []

    def flood(caller: socket.socket) -> None:
        says("200 OK")(caller)
        try:
            for _ in range(200):
                caller.sendall(b"x" * 65536)
                sent.append(1)
        except OSError:
            pass

    with somebody(flood) as address:
        assert why_not(address, Limits(10, 1024 * 1024)) == outbound.TOO_LARGE
    assert len(sent) < 200


def test_who_sends_a_byte_now_and_then_is_cut_off_in_time() -> None:
    def drip(caller: socket.socket) -> None:
        try:
            for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
                caller.sendall(bytes([letter]))
                time.sleep(0.05)
        except OSError:
            pass

    began = time.monotonic()
    with somebody(drip) as address:
        assert why_not(address, Limits(1, 1024)) == outbound.TOO_SLOW
    assert time.monotonic() - began < 4


def test_who_says_nothing_is_cut_off_in_time() -> None:
    silent = threading.Event()
    with somebody(lambda _caller: silent.wait(10) and None) as address:
        assert why_not(address, Limits(0.5, 1024)) == outbound.TOO_SLOW
        silent.set()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says("200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b"), outbound.COMPRESSED),
        (says("200 OK\r\nContent-Length: 100", b"short"), outbound.UNREACHABLE),
        (lambda caller: caller.sendall(b"nonsense\r\n\r\n"), outbound.UNREACHABLE),
        (lambda caller: caller.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"), outbound.UNREACHABLE),
    ],
    ids=["compressed", "cut short", "no HTTP", "endless headers"],
)
def test_odd_answers_are_refused(answer: Speak, why: str) -> None:
    with somebody(answer) as address:
        assert why_not(address) == why


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that nobody has vouched for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8
    file = tmp_path / "localhost.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, plain, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextmanager
def secured(certificate: Path) -> Iterator[int]:
    """Answers over TLS: its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                while True:
                    caller, _ = listening.accept()
                    with caller, suppress(OSError), context.wrap_socket(caller, server_side=True) as safe:
                        safe.recv(65536)
                        says("200 OK\r\nContent-Length: 2", b"ok")(safe)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def test_who_cannot_prove_who_they_are_is_not_believed(certificate: Path) -> None:
    with secured(certificate) as port:
        assert why_not(f"https://localhost:{port}/") == outbound.UNTRUSTED


def test_who_can_is_and_only_by_that_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with secured(certificate) as port:
        assert fetch(f"https://localhost:{port}/", allow_private=True).content == b"ok"
        assert why_not(f"https://127.0.0.1:{port}/") == outbound.UNTRUSTED


def test_nobody_there_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert why_not(f"http://127.0.0.1:{port}/") == outbound.UNREACHABLE


def test_a_name_is_checked_when_it_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Public when it was typed in, private now: the resolver is a stranger's, and so the one thing played here."""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_a, **_k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]
    )
    assert checked_address("https://calendar.example/x.ics") == "https://calendar.example/x.ics"
    with pytest.raises(NotFetched) as refused:
        fetch("https://calendar.example/x.ics", allow_private=False)
    assert refused.value.message == outbound.PRIVATE


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("93.184.215.14", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: found)
    with pytest.raises(NotFetched) as refused:
        fetch("https://calendar.example/x.ics", allow_private=False)
    assert refused.value.message == outbound.PRIVATE


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::",
        "64:ff9b::a00:1", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses_are_known_whatever_they_are_wrapped_in(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://calendar.example/x.ics", "https://calendar.example/x.ics"),
        ("  webcal://calendar.example/x.ics?k=1 ", "https://calendar.example/x.ics?k=1"),
        ("WEBCAL://calendar.example:8443/x", "https://calendar.example:8443/x"),
    ],
)
def test_addresses_are_kept_as_https(typed: str, kept: str) -> None:
    assert checked_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "calendar.example", "http://calendar.example/", "ftp://calendar.example/", "file:///etc/passwd", "https://",
        "https://a b/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://x:99999/", "https://é.example/",
        "https://maria:secret@calendar.example/", "https://calendar.example/\nX: y", "https://x/" + "a" * 3000,
        "javascript://calendar.example/",
    ],
)  # fmt: skip
def test_what_is_no_address_to_ask_is_refused(typed: str) -> None:
    with pytest.raises(NotFetched):
        checked_address(typed)
