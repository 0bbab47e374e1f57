"""Live calls from the command line and through AMI."""

import asyncio
import json

import pytest

from tests.acceptance.live_calls import Party, has, hear, none_of, talk

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Ami:
    """A manager session, as an operator's program has one."""

    @classmethod
    async def open(cls, server):
        ami = cls()
        host, _, port = server["ami"].rpartition(":")
        ami.reader, ami.writer = await asyncio.open_connection(host, int(port))
        await ami.reader.readline()
        ami.send(Action="Login", Username=server["ami_user"], Secret=server["ami_secret"], Events="user")
        return ami

    def send(self, **headers):
        self.writer.write("".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n")

    async def ask(self, **headers):
        """Send the operator's event; the answer with its id."""
        self.send(Action="UserEvent", UserEvent="Trunkline", **headers)
        async with asyncio.timeout(60):
            while True:
                raw = (await self.reader.readuntil(b"\r\n\r\n")).decode()
                message = dict(line.split(": ", 1) for line in raw.strip().split("\r\n") if ": " in line)
                if message.get("UserEvent") == "TrunklineAnswer" and message["Id"] == headers["Id"]:
                    return message

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()


async def test_an_operator_controls_a_call(stack, phones):
    one, two, three = phones
    call = await talk(stack.api, one, two)
    agent, customer = call.agent, call.customer
    told = json.loads(await stack.trunkline("calls", "hold", call.request_id, "--leg", "customer", "--json"))
    assert told["leg_id"] == (await call.leg("customer"))["leg_id"]
    at_agent, at_customer = await hear(agent, customer)
    assert none_of(at_agent, customer.tone)
    assert at_customer.any()
    ami = await Ami.open(stack.json["asterisk"])
    refused = await ami.ask(Command="transfer", Request=call.request_id, To="19005551234", Id="1")
    assert (refused["Status"], refused["Code"]) == ("refused", "403")
    refused = await ami.ask(Command="fly", Request=call.request_id, Id="2")
    assert (refused["Status"], refused["Code"]) == ("refused", "422")
    done = await ami.ask(Command="resume", Request=call.request_id, Id="3")
    assert done["Status"] == "done"
    at_agent, at_customer = await hear(agent, customer)
    assert has(at_agent, customer.tone)
    assert has(at_customer, agent.tone)
    done = await ami.ask(Command="transfer", Request=call.request_id, Leg="agent", To="103", Id="4")
    assert done["Status"] == "done"
    await ami.close()
    target = Party(three, await three.next_call())
    await target.call.answered()
    await stack.api.wait_leg(call.request_id, "target", "up")
    await stack.trunkline("calls", "hangup", call.request_id, "--leg", "target")
    await customer.call.over()
    await stack.api.wait_ended(call.request_id)
    assert "lead to what is stored" in await stack.trunkline("calls", "replay", call.request_id)
