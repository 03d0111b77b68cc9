"""Unguessable links: a token is derived from the deployment's secret and a row's own nonce, so the database holds
nothing that opens anything, and yet the same link can be written again in a reminder. A new nonce revokes it."""

import hmac
import secrets
from base64 import urlsafe_b64encode

_MAC_BYTES = 20


def new_nonce() -> str:
    """What a row keeps: 128 random bits in hex."""
    return secrets.token_hex(16)


def _mac(secret_key: str, purpose: str, row_id: int, nonce: str) -> str:
    made = hmac.digest(secret_key.encode(), f"{purpose}:{row_id}:{nonce}".encode(), "sha256")[:_MAC_BYTES]
    return urlsafe_b64encode(made).decode().rstrip("=")


def seal(secret_key: str, purpose: str, row_id: int, nonce: str) -> str:
    """The token for one row and one purpose: `17.k3J…` (160 bits)."""
    return f"{row_id}.{_mac(secret_key, purpose, row_id, nonce)}"


def row_of(token: str) -> int | None:
    """Which row a token speaks of; None if it is no token at all. It proves nothing yet: see `is_sealed`."""
    row, dot, mac = token.partition(".")
    if not dot or not mac or not row.isascii() or not row.isdigit() or len(row) > 18:
        return None
    return int(row)


def is_sealed(token: str, secret_key: str, purpose: str, nonce: str) -> bool:
    """Whether the token was made for this row's nonce and this purpose."""
    row = row_of(token)
    return row is not None and hmac.compare_digest(
        token.encode("utf-8", "replace"), seal(secret_key, purpose, row, nonce).encode()
    )
