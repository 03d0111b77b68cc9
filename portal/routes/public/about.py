"""What anybody may know of this portal: what is done with people's data, and what a phone needs to put it on its home screen."""

from email.utils import parseaddr

from starlette.responses import JSONResponse, Response

from portal.deps import PublicAsk, public_pages
from portal.templating import static

pages = public_pages()

DEEP = "#0d4a3e"
"""The brand's deep colour, as `--deep` in tokens.css: what the phone paints while it starts."""
GROUND = "#f5f6f1"


@pages.get("/privacy")
def privacy(ask: PublicAsk) -> Response:
    """What is kept of whom, for how long, and whom to ask."""
    address = parseaddr(ask.settings.mail_from)[1]
    return ask.page("public/privacy.html", address=address, postal_address=ask.settings.postal_address)


@pages.get("/manifest.webmanifest")
def manifest(ask: PublicAsk) -> Response:
    """The portal as an application on a home screen (W3C Web Application Manifest), under the vendor's name."""
    vendor = ask.settings.vendor_name
    icons = [("icon-192.png", "192x192", "any"), ("icon-512.png", "512x512", "any")]
    icons.append(("icon-maskable-512.png", "512x512", "maskable"))
    return JSONResponse(
        {
            "id": "/",
            "name": vendor,
            "short_name": vendor[:12].strip(),
            "lang": ask.locale,
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": GROUND,
            "theme_color": DEEP,
            "icons": [
                {"src": static(name), "sizes": sizes, "type": "image/png", "purpose": purpose}
                for name, sizes, purpose in icons
            ],
        },
        media_type="application/manifest+json",
        headers={"Cache-Control": "public, max-age=3600"},
    )
