"""Every route there is. What is not here is not served and not documented."""

from engine.api import (
    calls,
    campaigns,
    control,
    docs,
    events,
    health,
    media,
    oauth,
    objects,
    otp_templates,
    recordings,
    room_members,
    rooms,
    transcripts,
    voicemail_broadcast,
    webhooks,
)
from engine.api.call_control import calls as cc_calls
from engine.api.call_control import devices as cc_devices
from engine.api.call_control import legs as cc_legs
from engine.api.cpaas import callback, cdr, click_to_call, lists, live_statistics, modify_call, outbound_call
from engine.api.cpaas import campaigns as cpaas_campaigns
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
    *cpaas_campaigns.ROUTES,
    *campaigns.ROUTES,
    *voicemail_broadcast.ROUTES,
    *webhooks.ROUTES,
    *events.ROUTES,
    *live_statistics.ROUTES,
    *cc_calls.ROUTES,
    *cc_legs.ROUTES,
    *cc_devices.ROUTES,
    *rooms.ROUTES,
    *room_members.ROUTES,
)
OPEN_ROUTES: tuple[OpenRoute, ...] = docs.described(ROUTES, (*health.ROUTES, *oauth.ROUTES))
