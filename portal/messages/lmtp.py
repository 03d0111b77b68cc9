"""The door for answers that our own mail server hands over (LMTP, RFC 2033): an address that isn't ours is refused before the
mail is sent, and each recipient hears for itself what became of it, after it is stored."""

import asyncio
import logging
import socket
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as Connection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.boundary import Crash, attempted
from portal.house import House
from portal.messages import inbound
from portal.messages.rules import Became
from portal.reply_addresses import Answering, Expired

log = logging.getLogger("portal.lmtp")

_AWAY = "451 4.3.0 We can't store it just now, please try again"
_ANSWERS = {
    Became.UNKNOWN_SENDER: "250 2.1.5 Kept aside: it is not from the address on file",
}


class Door:
    """What aiosmtpd asks. Its hooks run in the event loop, so everything that takes time goes into a thread."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def handle_RCPT(
        self, _server: SMTP, _session: Connection, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Only addresses that we gave out, and the one to which reports about our mails go."""
        found = inbound.whose(self._house, address, now=self._house.clock.now())
        if isinstance(found, Expired):
            return "550 5.1.6 This address has expired. Please write in the portal"
        if not isinstance(found, Answering) and address.strip("<>").lower() != inbound.our_address(self._house):
            return "550 5.1.1 There is no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Connection, envelope: Envelope) -> str:
        """One answer a recipient, in their order (RFC 2033, 4.2)."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogateescape")
        sender = envelope.mail_from
        answers = [
            await asyncio.get_running_loop().run_in_executor(None, self._take, raw, address, sender)
            for address in envelope.rcpt_tos
        ]
        return "\r\n".join(answers)

    def _take(self, raw: bytes, address: str, sender: str | None) -> str:
        now = self._house.clock.now()
        try:
            taken = attempted(
                "a mail over LMTP",
                lambda: inbound.receive(self._house, raw, to=address, envelope_from=sender or "", now=now),
            )
        except (OperationalError, InterfaceError, PoolTimeout) as away:
            log.warning("the database is away: %s", away)
            return _AWAY
        if isinstance(taken, Crash):
            # Not for good: a mistake of ours must not cost the customer their mail.
            return "451 4.3.0 We can't read it just now, please try again"
        return _ANSWERS.get(taken.became, "250 2.0.0 OK")


class LmtpServer(Controller):
    """The door as a server in a thread of its own: `start()` and `stop()`. Port 0 takes a free one."""

    def __init__(self, house: House, *, host: str, port: int) -> None:
        # Bound here and not in the thread, so that a taken port is said at once.
        self._listener = socket.create_server((host, port), reuse_port=False)
        self._door = Door(house)
        super().__init__(self._door, hostname=host, port=self._listener.getsockname()[1])

    def factory(self) -> LMTP:
        return LMTP(
            self._door,
            data_size_limit=inbound.ROOM_FOR_MAIL,
            enable_SMTPUTF8=True,
            hostname="onward",
            ident="Onward",
            timeout=120,
        )

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)
