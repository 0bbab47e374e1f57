"""The spool survives what disks and kills do to a file."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError, StoreAway
from engine.store import spool as module
from engine.store.entry import Entry
from engine.store.spool import Spool, frame, unframe


def entry(n: int, size: int = 0) -> Entry:
    return Entry("event", json.dumps({"request_id": f"{n:010x}", "data": "x" * size}))


def opened(folder: Path) -> Spool:
    found = Spool(folder)
    found.open()
    return found


def file_of(folder: Path) -> Path:
    return folder / "journal.spool"


def everything(spool: Spool, limit: int = 3) -> list[str]:
    texts: list[str] = []
    while not spool.drained:
        texts += [found.text for found in spool.read(limit)]
        spool.taken()
    return texts


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    assert spool.empty
    spool.append([entry(n) for n in range(5)])
    spool.append([entry(n) for n in range(5, 9)])
    assert not spool.empty
    assert everything(spool) == [entry(n).text for n in range(9)]


def test_it_is_there_for_the_next_process(tmp_path: Path) -> None:
    opened(tmp_path).append([entry(1), entry(2)])
    assert everything(opened(tmp_path)) == [entry(1).text, entry(2).text]


def test_reading_does_not_take(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(1), entry(2)])
    assert spool.read(1) == spool.read(1) == [entry(1)]
    spool.taken()
    assert spool.read(9) == [entry(2)]
    assert everything(opened(tmp_path)) == [entry(1).text, entry(2).text]


def test_records_may_come_while_it_is_drained(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(1), entry(2)])
    spool.read(2)
    spool.append([entry(3)])
    spool.taken()
    assert not spool.drained
    assert spool.read(9) == [entry(3)]


def test_emptied_it_is_empty_for_good(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(1)])
    everything(spool)
    spool.clear()
    assert spool.empty
    spool.append([entry(2)])
    assert everything(spool) == [entry(2).text]
    assert file_of(tmp_path).stat().st_size == len(frame(entry(2)))


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    opened(tmp_path).append([entry(1), entry(2), entry(3)])
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    spool = opened(tmp_path)
    spool.append([entry(4)])
    assert everything(spool) == [entry(1).text, entry(2).text, entry(4).text]
    assert spool.damaged == 0


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"\n", b"half a line", b"deadbeef 00000001 event {}\n", b"\n\n\0\n"])
def test_rubbish_behind_the_last_line_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    opened(tmp_path).append([entry(1)])
    with file_of(tmp_path).open("ab") as file:
        file.write(tail)
    spool = opened(tmp_path)
    spool.append([entry(2)])
    assert everything(opened(tmp_path)) == [entry(1).text, entry(2).text]


def test_a_file_of_rubbish_alone_is_an_empty_spool(tmp_path: Path) -> None:
    file_of(tmp_path).write_bytes(os.urandom(3000))
    assert opened(tmp_path).empty


def test_a_damaged_line_in_the_middle_is_put_aside_and_the_rest_is_kept(tmp_path: Path) -> None:
    opened(tmp_path).append([entry(1), entry(2), entry(3)])
    data = bytearray(file_of(tmp_path).read_bytes())
    data[len(frame(entry(1))) + 30] ^= 1
    file_of(tmp_path).write_bytes(data)
    spool = opened(tmp_path)
    assert everything(spool) == [entry(1).text, entry(3).text]
    assert spool.damaged == 1
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["kind"] == "damaged"


def test_lines_longer_than_a_read_are_read_whole(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    sizes = [10, module._READ + 5, 3, 3 * module._READ, 7]
    spool.append([entry(n, size) for n, size in enumerate(sizes)])
    assert everything(opened(tmp_path), 2) == [entry(n, size).text for n, size in enumerate(sizes)]


def test_a_write_that_fails_leaves_nothing_and_the_next_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.append([entry(1)])
    write = os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        write(file, bytes(data)[:11], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "pwrite", full)
        with pytest.raises(StoreAway):
            spool.append([entry(2)])
    spool.append([entry(3)])
    assert everything(spool) == [entry(1).text, entry(3).text]
    assert everything(opened(tmp_path)) == [entry(1).text, entry(3).text]


def test_a_write_that_is_cut_short_by_the_system_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path)
    write = os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda file, data, offset: write(file, bytes(data)[:7], offset))
    spool.append([entry(1), entry(2)])
    assert everything(spool) == [entry(1).text, entry(2).text]


def test_a_sync_that_fails_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path)

    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fdatasync", broken)
        with pytest.raises(StoreAway):
            spool.append([entry(1)])
    spool.append([entry(2)])
    assert everything(spool) == [entry(2).text]


def test_a_folder_that_can_not_be_used_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(ConfigError, match="spool"):
        Spool(tmp_path / "spool").open()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    spool.append([entry(1)])
    spool.reject(entry(1), "why")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()]
    assert modes == [0o600, 0o600]
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_frame_with_any_bit_changed_is_no_frame() -> None:
    line = frame(entry(1))
    assert unframe(line) == entry(1)
    for at in range(len(line)):
        changed = bytearray(line)
        changed[at] ^= 4
        assert unframe(bytes(changed)) is None


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 6), max_size=6), cut=st.integers(0, 4000))
def test_cut_anywhere_what_is_left_is_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder)
    texts: list[str] = []
    for count in counts:
        batch = [entry(len(texts) + n, n * 17) for n in range(count)]
        spool.append(batch)
        texts += [found.text for found in batch]
    data = file_of(folder).read_bytes()
    file_of(folder).write_bytes(data[: max(0, len(data) - cut)])
    left = everything(opened(folder))
    assert left == texts[: len(left)]
    whole = len(data) - cut
    assert len(left) == sum(
        1 for n in range(len(texts)) if sum(len(frame(Entry("event", t))) for t in texts[: n + 1]) <= whole
    )
    spool.close()
