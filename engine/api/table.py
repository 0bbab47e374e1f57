"""Every route there is. What is not here is not served and not documented."""

from engine.api import calls, docs, health, media, objects, recordings, transcripts, webhooks
from engine.api.cpaas import cdr, click_to_call
from engine.api.route import OpenRoute, Route

ROUTES: tuple[Route, ...] = (
    *click_to_call.ROUTES,
    *cdr.ROUTES,
    *calls.ROUTES,
    *recordings.ROUTES,
    *transcripts.ROUTES,
    *objects.ROUTES,
    *media.ROUTES,
    *webhooks.ROUTES,
)
OPEN_ROUTES: tuple[OpenRoute, ...] = docs.described(ROUTES, health.ROUTES)
