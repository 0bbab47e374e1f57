"""One suite for both object stores: a folder, and a bucket that speaks S3."""

import hashlib

import pytest
from aiohttp.test_utils import TestServer

from engine.config import Bucket
from engine.errors import TooLarge, Unavailable
from engine.media.objects.local import LocalObjects
from engine.media.objects.s3 import S3Objects
from tests.unit.fake_s3 import FakeS3

LIMIT = 20 << 20


async def chunks(*pieces, breaks=None):
    for piece in pieces:
        yield piece
    if breaks:
        raise breaks


async def content(opened):
    if opened.path is not None:
        return opened.path.read_bytes()
    return b"".join([chunk async for chunk in opened.chunks])


@pytest.fixture
async def bucket():
    fake = FakeS3()
    async with TestServer(fake.app()) as server:
        settings = Bucket(
            name="voice", endpoint=str(server.make_url("")).rstrip("/"), access_key="a", secret_key="b", prefix="tl/"
        )
        yield fake, S3Objects(settings)


@pytest.fixture(params=["folder", "bucket"])
def objects(request, tmp_path):
    return LocalObjects(tmp_path / "objects") if request.param == "folder" else request.getfixturevalue("bucket")[1]


async def put(objects, name="a.wav", *pieces, account="account_1"):
    return await objects.put(account, name, chunks(*(pieces or (b"abc",))), limit=LIMIT)


@pytest.mark.parametrize("sizes", [(), (3,), (1 << 20,) * 3, (6 << 20, 5)])
async def test_what_is_put_is_got(objects, sizes):
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    stored = await objects.put("account_1", "a.wav", chunks(*pieces), limit=LIMIT)
    whole = b"".join(pieces)
    assert (stored.name, stored.size, stored.sha256) == ("a.wav", len(whole), hashlib.sha256(whole).hexdigest())
    opened = await objects.get("account_1", "a.wav")
    assert opened.stored.size == len(whole)
    assert await content(opened) == whole


async def test_accounts_do_not_meet(objects):
    await put(objects)
    assert await objects.get("account_2", "a.wav") is None
    assert not await objects.delete("account_2", "a.wav")
    assert await objects.list("account_2") == []


async def test_it_is_replaced_and_deleted(objects):
    await put(objects)
    await put(objects, "a.wav", b"other")
    assert await content(await objects.get("account_1", "a.wav")) == b"other"
    assert await objects.delete("account_1", "a.wav")
    assert not await objects.delete("account_1", "a.wav")
    assert await objects.get("account_1", "a.wav") is None


async def test_it_is_listed_by_name(objects):
    for name in ("b", "a", "c.wav"):
        await put(objects, name)
    await put(objects, "d", account="account_10")
    assert [(each.name, each.size) for each in await objects.list("account_1")] == [("a", 3), ("b", 3), ("c.wav", 3)]


async def test_too_much_leaves_the_old_one(objects):
    await put(objects)
    with pytest.raises(TooLarge):
        await objects.put("account_1", "a.wav", chunks(b"12", b"34"), limit=3)
    assert await content(await objects.get("account_1", "a.wav")) == b"abc"


async def test_a_sender_that_breaks_off_leaves_the_old_one(objects):
    await put(objects)
    with pytest.raises(KeyError):
        await objects.put("account_1", "a.wav", chunks(b"12", breaks=KeyError("gone")), limit=LIMIT)
    assert await content(await objects.get("account_1", "a.wav")) == b"abc"
    assert [each.name for each in await objects.list("account_1")] == ["a.wav"]


async def test_keys_in_a_bucket(bucket):
    fake, objects = bucket
    await put(objects)
    assert list(fake.objects) == ["tl/account_1/a.wav"]


async def test_a_bucket_that_does_not_answer(bucket):
    fake, objects = bucket
    fake.broken = True
    with pytest.raises(Unavailable):
        await objects.get("account_1", "a.wav")
    with pytest.raises(Unavailable):
        await put(objects)


async def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "objects").write_bytes(b"a file")
    with pytest.raises(Unavailable):
        await put(LocalObjects(tmp_path / "objects"))
