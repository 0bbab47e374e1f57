"""Commands into calls as texts, and errors that cross from one process to another."""

import json

import pytest

from engine.commands import orders
from engine.commands.control import with_sounds
from engine.errors import Forbidden, Gone, InvalidFields, NotFound, StateConflict, StoreAway, Unavailable


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("premium numbers are closed", rule="premium"),
        NotFound("the call has no such leg"),
        StateConflict("the party is held already"),
        InvalidFields({"to": "is required"}),
        Unavailable("Asterisk does not answer", retry_after=2),
    ],
)
def test_an_error_arrives_as_what_it_was(error):
    answer = json.loads(json.dumps(orders.told(error)))
    with pytest.raises(type(error)) as given:
        orders.given_back(answer)
    assert {**vars(given.value)} == {**vars(error)}


@pytest.mark.parametrize("error", [Gone("404 no such channel: PJSIP/101-0000ffff"), StoreAway("10.0.0.7:5432")])
def test_what_failed_inside_is_not_told(error):
    answer = orders.told(error)
    assert answer["error"] == "Unavailable"
    assert str(error) not in answer["message"]


def test_nobody_answered():
    with pytest.raises(Unavailable):
        orders.given_back(None)


def test_an_answer_is_what_was_told():
    assert orders.given_back({"leg_id": "x", "slot": "7"}) == {"leg_id": "x", "slot": "7"}


def test_fields_are_judged():
    assert orders.parse("park", {"slot": "7"}) == {"slot": 7}
    with pytest.raises(InvalidFields) as wrong:
        orders.parse("fly", {"to": "12; rm", "slot": "0", "nonsense": "1"})
    assert wrong.value.fields.keys() == {"action", "to", "slot", "nonsense"}
    with pytest.raises(InvalidFields):
        orders.parse("merge", {})


@pytest.mark.parametrize("media", ["sound:beep", "sound:digits/1"])
async def test_asterisks_own_sounds_are_taken_as_they_are(media):
    assert await with_sounds(None, "account_1", {"media": media}) == {"media": (media,)}


async def test_what_another_engine_has_found_is_not_looked_for_again():
    assert await with_sounds(None, "account_1", {"media": ["sound:/x/y"]}) == {"media": ["sound:/x/y"]}
