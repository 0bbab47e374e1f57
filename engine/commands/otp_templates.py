"""Templates of announcements: what is said when a one-time password is announced."""

import re
from collections.abc import Mapping
from typing import Any

from engine.commands.context import Context
from engine.commands.idempotency import Key, once
from engine.errors import InvalidFields, NotFound
from engine.ids import token
from engine.media.tts.port import Speech
from engine.media.tts.resolve import resolve
from engine.media.tts.template import VARIABLE, announcement
from engine.store.port import OtpTemplate

TYPES = ("digits", "alphanumeric")
LONGEST_OTP = 32
LONGEST_TEXT = 2000
"""Characters, password aside; with the longest one spelled it stays below what may be spoken at once."""
MOST_VARIABLES = 3
APPROVED, DRAFT = "approved", "draft"

_ID = re.compile(r"AN[0-9a-f]{10}")
_BRACES = re.compile(r"\{[^}]*\}?|\}")


async def create(ctx: Context, account: str, fields: Mapping[str, Any], key: Key | None = None) -> OtpTemplate:
    """A draft; ``trunkline otp-templates approve`` makes it one that is spoken. Raises InvalidFields, StateConflict."""
    checked(text=fields["text"], language=fields["language"])
    template_id = token("AN")

    async def act() -> None:
        await ctx.otp_templates.add(
            template_id,
            account,
            name=fields["name"],
            text=fields["text"],
            language=fields["language"],
            otp_type=fields["otp_type"],
        )

    async def happened(answer: Mapping[str, Any]) -> bool:
        return await ctx.otp_templates.get(account, answer["id"]) is not None

    answer = await once(ctx, account, key, {"id": template_id}, act=act, happened=happened)
    return await show(ctx, account, answer["id"])


async def find(ctx: Context, account: str, template_id: str) -> OtpTemplate | None:
    return await ctx.otp_templates.get(account, template_id) if _ID.fullmatch(template_id) else None


async def show(ctx: Context, account: str, template_id: str) -> OtpTemplate:
    return _there(await find(ctx, account, template_id))


async def change(ctx: Context, account: str, template_id: str, fields: Mapping[str, Any]) -> OtpTemplate:
    """Null leaves a field as it is; what changes anything but the name makes it a draft again. Raises InvalidFields,
    NotFound."""
    held = await show(ctx, account, template_id)
    text, language = fields["text"], fields["language"]
    checked(
        text=held.text if text is None else text, language=held.language if language is None else language
    )  # fmt: skip
    return _there(
        await ctx.otp_templates.change(
            account, template_id, name=fields["name"], text=text, language=language, otp_type=fields["otp_type"]
        )
    )


async def page(
    ctx: Context, account: str, *, limit: int, after: str | None
) -> tuple[list[OtpTemplate], str | None]:  # fmt: skip
    found = await ctx.otp_templates.page(account, limit=limit + 1, after=after)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def remove(ctx: Context, account: str, template_id: str) -> None:
    if not _ID.fullmatch(template_id) or not await ctx.otp_templates.remove(account, template_id):
        raise NotFound("no template has this id")


def checked(*, text: str, language: str) -> None:
    """Whether it can be spoken with any password. Raises InvalidFields."""
    wrong: dict[str, str] = {}
    variables = _BRACES.findall(text)
    if any(variable != VARIABLE for variable in variables):
        wrong["text"] = f"has a variable other than {VARIABLE}"
    elif not 1 <= len(variables) <= MOST_VARIABLES:
        wrong["text"] = f"must have {VARIABLE} in it, at most {MOST_VARIABLES} times"
    elif len(text) > LONGEST_TEXT:
        wrong["text"] = f"has {len(text)} characters; at most {LONGEST_TEXT} are allowed"
    try:
        resolve(Speech(announcement(text, "0" * LONGEST_OTP), language=language))
    except InvalidFields as error:
        named = {"language_code": "language"}
        wrong = {named.get(name, name): reason for name, reason in error.fields.items()} | wrong
    if wrong:
        raise InvalidFields(wrong)


def _there(found: OtpTemplate | None) -> OtpTemplate:
    if found is None:
        raise NotFound("no template has this id")
    return found
