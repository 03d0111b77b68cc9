"""Secrets of others that we must be able to read again (the private address of a calendar): encrypted with a key that is
derived from the deployment's secret, so that a stolen copy of the database opens nothing."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def lock_away(secret_key: str, purpose: str, words: str) -> str:
    """The words as they may be stored. `purpose` keeps what was stored for one thing from being read as another."""
    return _key(secret_key, purpose).encrypt(words.encode()).decode()


def take_out(secret_key: str, purpose: str, stored: str) -> str | None:
    """The words again; None if they were stored under another secret (it was changed), or for another purpose."""
    try:
        return _key(secret_key, purpose).decrypt(stored.encode()).decode()
    except InvalidToken:
        return None


def _key(secret_key: str, purpose: str) -> Fernet:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"onward:{purpose}".encode()).derive(secret_key.encode())
    return Fernet(urlsafe_b64encode(made))
