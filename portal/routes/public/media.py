"""Pictures and files that are for whoever knows their address, such as those of tutorials."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from portal import media
from portal.deps import PublicAsk, public_pages
from portal.errors import NotFound

pages = public_pages()

Address = Annotated[str, Path(pattern=r"^[0-9a-f]{40}$")]
Name = Annotated[str, Path(max_length=200)]


@pages.get("/media/{address}/{name}")
def medium(ask: PublicAsk, address: Address, name: Name) -> Response:
    """One of them. The address finds it; the name is only for who saves it."""
    found = media.found_by_address(ask.db, address)
    if found.reach is not media.Reach.BY_ADDRESS:
        raise NotFound
    return ask.kept(found)
