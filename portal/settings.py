"""Every knob and secret, read once from the environment: `PORTAL_X`, or the file that `PORTAL_X_FILE` names.

Outside development unsafe values are refused at start, each with a sentence that says what to set.
"""

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from portal.errors import N_


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class UnsafeSettings(ValueError):
    """The environment asks for something that must not run; the message says what to set."""


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_comma_list)]


class Settings(BaseModel):
    """What the process was told by its environment. Frozen; made by `read_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    env: Environment = Environment.DEVELOPMENT
    demo: bool = False
    data_dir: Path = Path("var")
    database_url: str = ""
    base_url: str = "http://localhost:8000"
    secret_key: SecretStr = SecretStr("")
    smtp_url: str = ""
    mail_from: str = "Onward <hello@onward.example>"
    postal_address: str = ""
    reply_domain: str = ""
    """The domain of the addresses that our mails are answered to; empty: answers go to the consultant's own mailbox."""
    imap_url: SecretStr = SecretStr("")
    """A mailbox in which those answers arrive, asked by the worker."""
    trusted_authserv: str = ""
    """Whose Authentication-Results count (RFC 8601): the name that our own mail server signs them with."""
    allowed_hosts: Names = Field(default_factory=list)
    trusted_proxies: Names = Field(default_factory=list)
    vendor_name: str = "Onward"
    default_timezone: str = "America/Sao_Paulo"
    default_language: str = "en"
    default_currency: str = "BRL"
    holidays: str = ""
    """Country (and subdivision) whose public holidays count, such as `BR` or `BR-SP`; empty: weekends only."""
    storm_limit: int = Field(default=50, ge=0)
    """How many people one import or change may contact at once without a person's yes."""
    flag_hours: int = Field(default=8, ge=1)
    """Business hours in which somebody has to act on a flag (8: one business day)."""
    api_calls_per_minute: int = Field(default=6000, ge=1)
    """How often one token may call the API."""
    invite_domains: Literal["own", "any"] = "own"
    """Whom customers may invite as colleagues: addresses at the domains that their company has already, or any."""
    most_contacts: int = Field(default=50, ge=1)
    """How many people (and open invitations) one customer may have by inviting; staff may add more."""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_name: str = N_("your company account")
    oidc_allow_insecure: bool = False
    """Development and tests only: accept an issuer on plain http."""
    allow_private_addresses: bool = False
    """Calendars (and whatever else is asked outside) may live in a private network, and on plain http."""
    metrics: bool = False

    @property
    def production(self) -> bool:
        return self.env is Environment.PRODUCTION

    @property
    def secure_cookies(self) -> bool:
        """`__Host-` cookies need https; plain http is for development on this machine alone."""
        return self.base_url[:6].lower() == "https:"

    @property
    def hosts(self) -> list[str]:
        own = urlsplit(self.base_url).hostname or "localhost"
        return [*self.allowed_hosts, own, *([] if self.production else ["localhost", "127.0.0.1", "testserver"])]

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if self.reply_domain and not re.fullmatch(r"[A-Za-z0-9.-]{1,190}", self.reply_domain):
            raise UnsafeSettings("PORTAL_REPLY_DOMAIN: set a domain only, such as reply.portal.example")
        if self.imap_url.get_secret_value() and urlsplit(self.imap_url.get_secret_value()).scheme not in (
            "imap",
            "imaps",
        ):
            raise UnsafeSettings("PORTAL_IMAP_URL: set an address such as imaps://user:password@mail.example/INBOX")
        if self.production:
            if len(self.secret_key.get_secret_value()) < 32:
                raise UnsafeSettings("PORTAL_SECRET_KEY: set at least 32 random characters")
            if not self.secure_cookies:
                raise UnsafeSettings("PORTAL_BASE_URL: set the https address that people use")
            if self.demo:
                raise UnsafeSettings("PORTAL_DEMO: the demo does not run in production")
            if not self.smtp_url:
                raise UnsafeSettings("PORTAL_SMTP_URL: set the mail server, such as smtp://mail:25")
            if self.oidc_allow_insecure:
                raise UnsafeSettings("PORTAL_OIDC_ALLOW_INSECURE: remove it")
        return self


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from a mapping such as `os.environ`. Unknown `PORTAL_…` names are refused: a typo must not be silent.

    Errors: UnsafeSettings with a sentence to show.
    """
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith("PORTAL_") or value == "":
            continue
        key = name.removeprefix("PORTAL_").lower()
        if key.endswith("_file") and key.removesuffix("_file") in Settings.model_fields:
            key = key.removesuffix("_file")
            value = Path(value).read_text(encoding="utf-8").strip()
        found[key] = value
    try:
        settings = Settings(**found)
    except ValidationError as wrong:
        # What a validator of ours refused names its setting itself; the rest is named by where it was found.
        lines = [
            f"PORTAL_{str(e['loc'][0]).upper()}: {e['msg']}" if e["loc"] else str(e["ctx"]["error"])
            for e in wrong.errors()
        ]
        raise UnsafeSettings("; ".join(lines)) from wrong
    made: dict[str, Any] = {}
    if not settings.database_url:
        made["database_url"] = f"sqlite:///{(settings.data_dir / 'onward.sqlite').absolute()}"
    if not settings.secret_key.get_secret_value():
        made["secret_key"] = SecretStr(_development_key(settings.data_dir))
    return settings.model_copy(update=made) if made else settings


def _development_key(data_dir: Path) -> str:
    """A key kept beside the development database, so that links in mails survive a restart."""
    path = data_dir / "secret-key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_urlsafe(48), encoding="utf-8")
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()
