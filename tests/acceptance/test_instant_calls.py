"""Instant calls over real calls: one and many, audio and menu, retries, what is read back."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest

from engine.testkit import audio
from engine.testkit.client import CALLER_ID
from engine.testkit.numbers import BUSY, RINGS_FOR_EVER, UNALLOCATED, ending, plain
from engine.testkit.poll import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

OVER = ("Answered", "NoAnswer", "Busy", "Failed", "Expired", "Cancelled")


def stamp(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat(timespec="milliseconds")


def user(stack):
    return {"username": stack.json["account"], "password": stack.json["auth"]}


def call(stack, **changes):
    return {
        "NumberToCall": "00" + plain(),
        "Extension": stack.json["instant_extension"],
        "StartDate": stamp(hours=-1),
        "EndDate": stamp(hours=5),
        "Type": 0,
        "IVRRepeats": 1,
        "CallerId": CALLER_ID,
    } | changes


async def placed(stack, *calls, status=200, path="/Api/InstantCall", **shared):
    """Without the headers of the cpaas document: the credentials are in the body."""
    body = {"User": user(stack), **shared, "InstantCalls": list(calls)}
    reply = await stack.api.request("POST", path, body=body, headers={"account": "", "auth": ""})
    return reply.expect(status).json["InstantCalls"]


async def read(stack, which):
    path = f"/{which}" if isinstance(which, int) else f"?CodeRequest={which}"
    return (await stack.api.get(f"/Api/InstantCall{path}")).expect(200).json


async def over(stack, which, within=60):
    async def look():
        found = await read(stack, which)
        return found if found["Status"] in OVER else None

    async def tell() -> str:
        found = await read(stack, which)
        return f"{found}\n{await stack.api.story(found['RequestId'])}"

    return await eventually(look, within=within, what=f"end of instant call {which}", tell=tell, every=0.1)


async def test_an_audio_file_is_heard_and_the_keys_are_read_back(stack):
    number = ending("4135")
    one = call(stack, NumberToCall="00" + number, FirstName="Ada", CodeRequest=f"code-{number}")
    body = {"User": user(stack), **one}
    reply = await stack.api.request("POST", "/Api/InstantCall", body=body, headers={"account": "", "auth": ""})
    (made,) = reply.expect(200).json["InstantCalls"]
    assert made == {"Index": 0, "Id": made["Id"], "CodeRequest": one["CodeRequest"], "Status": "Waiting"}
    found = await over(stack, made["Id"])
    assert (found["Status"], found["Retries"], found["InputDigits"]) == ("Answered", 0, "135")
    assert found["StartDateTimeCall"] < found["EndDateTimeCall"]
    assert found["IntervalCall"] > 0
    assert await read(stack, one["CodeRequest"]) == found
    heard = await stack.callee(number)
    assert audio.speech_present(heard.samples)
    row = await stack.api.cdr(found["RequestId"])
    assert (row["destination_context"], row["dial_status"], row["dtmf_inputs"]) == ("instant_call", "ANSWER", "135")
    assert (row["customer_number"], row["agent_number"]) == (number, "")
    again = (await placed(stack, one))[0]
    assert (again["Id"], again["Status"]) == (made["Id"], "Answered")
    other = (await placed(stack, one | {"NumberToCall": plain()}, status=422))[0]
    assert list(other["Error"]) == ["CodeRequest"]


async def test_busy_is_tried_again_and_unallocated_is_not(stack):
    busy, nobody = ending(BUSY), ending(UNALLOCATED)
    shared = {"MaxRetries": 2, "MinutesBetweenRetries": 0}
    first, second = await placed(
        stack, call(stack, NumberToCall=busy), call(stack, NumberToCall=nobody), path="/api/instantcall", **shared
    )
    tried, gone = await asyncio.gather(over(stack, first["Id"]), over(stack, second["Id"]))
    assert (tried["Status"], tried["Retries"]) == ("Busy", 2)
    assert (gone["Status"], gone["Retries"]) == ("Failed", 0)

    async def heard() -> bool:
        return len(stack.calls_of(busy)) == 3

    await eventually(heard, within=60, what="three tries of the busy number")
    assert len(stack.calls_of(nobody)) == 1


async def test_a_mixed_batch_reports_each(stack):
    code = f"batch-{plain()}"
    good = {"NumberToCall": plain(), "StartDate": stamp(hours=1)}
    shared = call(stack, CodeRequest=code)
    del shared["NumberToCall"]
    results = await placed(
        stack, good, {"NumberToCall": "12"}, {**good, "Extension": 99999}, {**good, "EndDate": stamp(minutes=-1)},
        {**good, "CallerId": "393331234567"}, {"Type": 7, "MaxRetries": "many"}, {**good, "CodeRequest": None}, **shared,
    )  # fmt: skip
    assert [each["Index"] for each in results] == list(range(7))
    wrong = {each["Index"]: sorted(each["Error"]) for each in results if "Error" in each}
    assert wrong == {
        1: ["NumberToCall"],
        2: ["Extension"],
        3: ["EndDate"],
        4: ["CallerId"],
        5: ["MaxRetries", "NumberToCall", "Type"],
    }
    found = await read(stack, code)
    assert [each["Id"] for each in found["InstantCalls"]] == [results[0]["Id"], results[6]["Id"]]
    assert {each["Status"] for each in found["InstantCalls"]} == {"Waiting"}
    waiting = {each["request_id"] for each in await stack.api.calls("scheduled")}
    assert {each["RequestId"] for each in found["InstantCalls"]} <= waiting
    await cancelled(stack, results[0]["Id"])
    (await stack.api.hang_up(found["InstantCalls"][1]["RequestId"])).expect(200)
    assert (await read(stack, results[6]["Id"]))["Status"] == "Cancelled"
    (await stack.api.request("DELETE", f"/Api/InstantCall/{results[0]['Id']}")).expect(409)
    assert len(await placed(stack, {"NumberToCall": "12"}, status=422, **shared)) == 1


async def cancelled(stack, which):
    reply = await stack.api.request("DELETE", f"/Api/InstantCall/{which}")
    assert reply.expect(200).json["Status"] == "Cancelled"


async def test_a_menu_by_its_number(stack):
    number = ending("4999")
    (made,) = await placed(
        stack, call(stack, NumberToCall=number, Extension=stack.json["numbers"]["ivr"], IVRRepeats=2)
    )
    found = await over(stack, made["Id"])
    assert found["Status"] == "Answered"
    assert found["InputDigits"].startswith("9")
    ended = await stack.api.call(found["RequestId"])
    assert (ended["flow"], ended["step"], ended["result"]) == ("instant_call", "menu:welcome", "ended")
    assert audio.speech_present((await stack.callee(number)).samples)


async def test_one_that_is_dialled_can_be_ended(stack):
    (made,) = await placed(stack, call(stack, NumberToCall=ending(RINGS_FOR_EVER)))

    async def calling() -> bool:
        return (await read(stack, made["Id"]))["Status"] == "Calling"

    await eventually(calling, within=60, what="Calling")
    (await stack.api.request("DELETE", f"/api/instantcall/{made['Id']}")).expect(200)
    assert (await over(stack, made["Id"]))["Status"] == "Cancelled"


@pytest.mark.parametrize(
    "date",
    [
        "2036-05-01T10:00:00.000+UTC",
        "2036-05-01T10:00:00.000+02:00",
        "2036-05-01T10:00:00Z",
        "2036-05-01T10:00:00.000",
        "2036-05-01 10:00",
    ],
)
async def test_dates_in_every_form(stack, date):
    one = call(stack, StartDate=date, EndDate=date.replace("2036", "2037"))
    (made,) = await placed(stack, {key.lower() if n % 2 else key: value for n, (key, value) in enumerate(one.items())})
    await cancelled(stack, made["Id"])


async def test_who_may_ask(stack):
    body = {"user": user(stack) | {"password": "wrong"}, **call(stack)}
    (await stack.api.request("POST", "/Api/InstantCall", body=body)).expect(401)
    assert (await stack.api.request("POST", "/Api/InstantCall", body=b'{"User": ')).status == 400
    assert (
        await stack.api.request("POST", "/Api/InstantCall", body={"User": user(stack), "InstantCalls": []})
    ).status == 422
    (made,) = await placed(stack, call(stack, StartDate=stamp(hours=1)))
    (await stack.api2.get(f"/Api/InstantCall/{made['Id']}")).expect(404)
    (await stack.api.get("/Api/InstantCall/x")).expect(404)
    (await stack.api.get("/Api/InstantCall?CodeRequest=nobody")).expect(404)
    basic = base64.b64encode(f"{stack.json['account']}:{stack.json['auth']}".encode()).decode()
    headers = {"account": "", "auth": "", "Authorization": f"Basic {basic}"}
    (await stack.api.get(f"/Api/InstantCall/{made['Id']}", headers=headers)).expect(200)
    (await stack.api.get(f"/Api/InstantCall/{made['Id']}", headers=headers | {"Authorization": "Basic e"})).expect(401)
    await cancelled(stack, made["Id"])
