"""Every route there is. What is not here is not served and not documented."""

from engine.api import (
    calls,
    control,
    docs,
    health,
    media,
    objects,
    otp_templates,
    recordings,
    transcripts,
    voicemail_broadcast,
    webhooks,
)
from engine.api.cpaas import callback, cdr, click_to_call, lists, modify_call, outbound_call
from engine.api.instant import calls as instant_calls
from engine.api.route import OpenRoute, Route

ROUTES: tuple[Route, ...] = (
    *click_to_call.ROUTES,
    *callback.ROUTES,
    *instant_calls.ROUTES,
    *outbound_call.ROUTES,
    *cdr.ROUTES,
    *calls.ROUTES,
    *control.ROUTES,
    *modify_call.ROUTES,
    *recordings.ROUTES,
    *transcripts.ROUTES,
    *objects.ROUTES,
    *media.ROUTES,
    *otp_templates.ROUTES,
    *lists.ROUTES,
    *voicemail_broadcast.ROUTES,
    *webhooks.ROUTES,
)
OPEN_ROUTES: tuple[OpenRoute, ...] = docs.described(ROUTES, health.ROUTES)
