"""Asking other hosts over HTTPS, safely: for calendar feeds, webhooks, whatever a person typed an address of.

The address is looked up and checked at the moment of connecting, and that very address is connected to, so that a name
which answers differently the second time (DNS rebinding) leads nowhere. No redirects, TLS verified, one time limit for
everything, a size limit while it streams. Nothing of the answer or the address goes into a log or an error.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from portal.errors import N_

LONGEST_ADDRESS = 2000
CHUNK = 64 * 1024
# NAT64 (RFC 6052): the last four bytes are an IPv4 address, which may be a private one.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotFetched(Exception):
    """The other side could not be asked, or answered nothing that we take. `message` is a msgid for `values`."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.values = values


NOT_AN_ADDRESS = N_("Please give an address that begins with https://.")
PRIVATE = N_("This address leads into a private network, which is not allowed.")
UNKNOWN_HOST = N_("There is no computer of that name.")
UNREACHABLE = N_("The other computer doesn’t answer.")
UNTRUSTED = N_("The other computer can’t prove who it is (its certificate isn’t valid).")
TOO_SLOW = N_("The other computer took too long.")
TOO_LARGE = N_("It is larger than %(megabytes)s MB.")
REDIRECTED = N_("The address leads on to another one. Please give that one.")
COMPRESSED = N_("The other computer answered in a form that we don’t read.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers (names in lower case), the body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Limits(NamedTuple):
    """How long all of it may take, and how large the answer may be."""

    seconds: float = 20.0
    size_bytes: int = 5 * 1024 * 1024


def checked_address(text: str, *, allow_private: bool = False) -> str:
    """The address as we keep it: https, a host, no name and password in it (webcal:// means https://).

    Whether its host may be asked is checked when it is, since names move. With `allow_private` plain http is taken too.
    Errors: NotFetched with a sentence for the field.
    """
    scheme, _, rest = text.strip().partition("://")
    scheme = {"webcal": "https", "webcals": "https"}.get(scheme.lower(), scheme.lower())
    made = f"{scheme}://{rest}"
    try:
        parts = urlsplit(made)
        _ = parts.port
    except ValueError:
        raise NotFetched(NOT_AN_ADDRESS) from None
    schemes = ("https", "http") if allow_private else ("https",)
    strange = any(ord(letter) < 33 or ord(letter) > 126 for letter in made)
    if parts.scheme not in schemes or not parts.hostname or strange or len(made) > LONGEST_ADDRESS:
        raise NotFetched(NOT_AN_ADDRESS)
    if parts.username is not None or parts.password is not None:
        raise NotFetched(N_("Please leave out name and password: a private address needs none."))
    if not allow_private and _literal_is_private(parts.hostname):
        raise NotFetched(PRIVATE)
    return made


def _literal_is_private(host: str) -> bool:
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            return False
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def fetch(
    address: str,
    *,
    allow_private: bool,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Answer:
    """What the other side answers, whatever its status but a redirect. Blocks for `limits.seconds` at most.

    Errors: NotFetched. Never call it inside a transaction.
    """
    parts = urlsplit(checked_address(address, allow_private=allow_private))
    deadline = time.monotonic() + limits.seconds
    found = _looked_up(parts, allow_private=allow_private, deadline=deadline)
    connection = _Connection(parts, found, deadline)
    try:
        with _ended_at(deadline, connection):
            return _asked(connection, parts, method, headers or {}, body, limits)
    except NotFetched:
        raise
    except ssl.SSLCertVerificationError:
        raise NotFetched(UNTRUSTED) from None
    except (OSError, HTTPException, ValueError):
        raise NotFetched(TOO_SLOW if time.monotonic() >= deadline else UNREACHABLE) from None
    finally:
        connection.hang_up()


def _looked_up(parts: SplitResult, *, allow_private: bool, deadline: float) -> str:
    """The address of the host that may be connected to. One private address among public ones refuses all of them."""
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result([str(where[4][0]) for where in known])
        except (OSError, UnicodeError) as unknown:
            answer.set_exception(unknown)

    # The resolver has no time limit of its own; a thread that nobody waits for any more ends with it.
    threading.Thread(target=ask, daemon=True).start()
    try:
        addresses = answer.result(max(deadline - time.monotonic(), 0.1))
    except TimeoutError:
        raise NotFetched(TOO_SLOW) from None
    except (OSError, UnicodeError):
        raise NotFetched(UNKNOWN_HOST) from None
    if not addresses:
        raise NotFetched(UNKNOWN_HOST)
    if not allow_private and not all(is_public(ipaddress.ip_address(one.partition("%")[0])) for one in addresses):
        raise NotFetched(PRIVATE)
    return addresses[0]


class _Connection(HTTPConnection):
    """A connection to an address that was checked, speaking to the host by its name."""

    def __init__(self, parts: SplitResult, address: str, deadline: float) -> None:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        super().__init__(str(parts.hostname), port)
        self._address = address
        self._deadline = deadline
        self._is_tls = parts.scheme == "https"
        self._wire: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        left = max(self._deadline - time.monotonic(), 0.1)
        self.sock = socket.create_connection((self._address, self.port), timeout=left)
        # The library lets go of its socket once the answer has begun; ours is what `cut` needs until the end.
        self._wire = self.sock
        if self._is_tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
            self._wire = self.sock

    def cut(self) -> None:
        """Ends it from another thread: whoever waits for a byte wakes up with an error."""
        self.was_cut = True
        if self._wire is not None:
            # Not `close`: that would leave a reader blocked in the kernel. Not the TLS socket's own `shutdown`, which
            # waits for the reader.
            with suppress(OSError):
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Ends it, whatever state it is in."""
        self.close()
        if self._wire is not None:
            self._wire.close()


@contextmanager
def _ended_at(deadline: float, connection: _Connection) -> Iterator[None]:
    """Cuts a connection at the deadline. Time limits of a socket are per byte: who sends one a second is never late."""
    timer = threading.Timer(max(deadline - time.monotonic(), 0), connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _asked(
    connection: _Connection,
    parts: SplitResult,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    limits: Limits,
) -> Answer:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Identity only: a small compressed answer can be unpacked into a very large one.
    connection.request(
        method, target, body=body, headers={"User-Agent": "Onward", "Accept-Encoding": "identity", **headers}
    )
    with connection.getresponse() as response:
        return _taken(response, connection, limits)


def _taken(response: HTTPResponse, connection: _Connection, limits: Limits) -> Answer:
    known = {name.lower(): value for name, value in response.getheaders()}
    if 300 <= response.status < 400 and response.status != 304:
        raise NotFetched(REDIRECTED)
    if known.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise NotFetched(COMPRESSED)
    content = _read(response, limits)
    if connection.was_cut:
        raise NotFetched(TOO_SLOW)
    return Answer(response.status, known, content)


def _read(response: HTTPResponse, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := response.read(CHUNK):
        size += len(chunk)
        if size > limits.size_bytes:
            raise NotFetched(TOO_LARGE, megabytes=limits.size_bytes // (1024 * 1024))
        parts.append(chunk)
    if response.length:
        raise NotFetched(UNREACHABLE)  # cut off in the middle
    return b"".join(parts)
