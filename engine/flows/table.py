"""Every flow by its name: in ``call.flow``, in routes, and in the dialplan's ``Stasis(app,flow,NAME,…)``."""

from collections.abc import Mapping

from engine.flows.campaign import TYPE_0, campaign_type_0
from engine.flows.click_to_call import click_to_call
from engine.flows.conversation import conversation
from engine.flows.dial import dial_number
from engine.flows.inbound import unknown_number
from engine.flows.odr import odr
from engine.flows.otp import otp
from engine.flows.voicemail import leave_message
from engine.flows.voicemail_broadcast import voicemail_broadcast
from engine.sessions.services import Flow

FLOWS: Mapping[str, Flow] = {
    TYPE_0: campaign_type_0,
    "callback": click_to_call,
    "click_to_call": click_to_call,
    "conversation": conversation,
    "dial": dial_number,
    "odr": odr,
    "otp": otp,
    "unknown_number": unknown_number,
    "voicemail_broadcast": voicemail_broadcast,
    "voicemail": leave_message,
}
