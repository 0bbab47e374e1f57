"""A CSV file that lies in a bucket: fetched, read, and nothing of it left behind."""

from aiohttp.test_utils import TestServer

from engine.calls.account import Account
from engine.commands import lists
from engine.config import Bucket
from engine.dialer.contacts.port import ContactList
from engine.media.objects.s3 import S3Objects
from tests.unit.api_fakes import T0, World
from tests.unit.fake_s3 import FakeS3


class OneList:
    """Implements what an import asks of ``Lists``."""

    def __init__(self):
        self.lines = []

    async def get(self, account, list_id, *, do_not_dial):
        return ContactList(list_id, account, "mine", 0, T0)

    async def load(self, account, list_id, pieces, *, do_not_dial):
        async for piece in pieces:
            self.lines += piece.decode().splitlines()
        return len(self.lines)


async def chunks(data):
    yield data


async def test_a_file_in_a_bucket(tmp_path):
    world, kept = World(tmp_path), OneList()
    world.lists = kept
    async with TestServer(FakeS3().app()) as server:
        settings = Bucket(
            name="voice", endpoint=str(server.make_url("")).rstrip("/"), access_key="a", secret_key="b", prefix="tl/"
        )
        objects = S3Objects(settings)
        await objects.put("account_1", "a.csv", chunks("number;name\n919979270001;Jörg\n".encode("cp1252")), limit=1000)
        context = world.context()
        object.__setattr__(context, "objects", objects)
        done = await lists.load(
            context, Account("account_1", 1, "91", frozenset()), "LS0123456789", "a.csv",
            do_not_dial=False, skip=False, field_name="csv_name",
        )  # fmt: skip
    assert done.added == 1
    assert kept.lines == ["919979270001\tJörg\t{}"]
    assert list((tmp_path / "imports").iterdir()) == []
