"""`make demo`, as a stranger types it: the real engine, two phones, and nothing left afterwards."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


def test_the_demo_shows_a_call_and_its_cdr_and_leaves_nothing(folder: Path):
    env = {key: value for key, value in os.environ.items() if not key.startswith("TRUNK")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine", "demo"],
        capture_output=True,
        text=True,
        cwd="/",
        env={**env, "TMPDIR": str(folder)},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    events = [line.split() for line in done.stdout.splitlines() if " s  " in line[:14]]
    kinds = [word for line in events for word in line if word.startswith(("call.", "leg."))]
    assert kinds[0] == "call.created"
    assert kinds[-1] == "call.ended"
    assert kinds.count("leg.answered") == 2
    assert "call.bridged" in kinds
    assert min(float(line[0]) for line in events) == float(events[0][0]) == 0
    for party in ("agent", "customer"):  # what Asterisk tells of two of them may be taken one behind the other
        times = [float(line[0]) for line in events if line[2] == party]
        assert len(times) > 3
        assert times == sorted(times)
    (row,) = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))["response"]["result"]
    assert (row["call_status"], row["agent_number"]) == ("ANSWERED", "919979270001")
    assert done.stdout.count("heard") == 3
    assert "curl" in done.stdout
    assert not list(folder.iterdir())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not under ``tmp_path``, whose parent any other start of pytest closes to PostgreSQL's user."""
    made = Path(tempfile.mkdtemp(prefix="trunkline test "))
    yield made
    shutil.rmtree(made)


def refuse_everybody(sip: socket.socket) -> None:
    """A far end that is busy, until it gets an empty packet."""
    while (received := sip.recvfrom(65535))[0]:
        packet, sender = received
        lines = packet.decode().split("\r\n")
        if not lines[0].startswith("ACK"):
            kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
            to = next(line for line in lines if line.startswith("To:"))
            answer = ["SIP/2.0 486 Busy Here", *kept, f"{to};tag=busy", "Content-Length: 0", "", ""]
            sip.sendto("\r\n".join(answer).encode(), sender)


def test_a_demo_whose_call_fails_says_so_and_fails(folder: Path):
    with socket.socket(type=socket.SOCK_DGRAM) as sip:
        sip.bind(("127.0.0.1", 0))
        far_end = threading.Thread(target=refuse_everybody, args=(sip,))
        far_end.start()
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "engine", "demo", "--state", str(folder)],
                capture_output=True,
                text=True,
                cwd="/",
                env={**os.environ, "TRUNK": f"127.0.0.1:{sip.getsockname()[1]}"},
                timeout=600,
                check=False,
            )
        finally:
            sip.sendto(b"", sip.getsockname())
            far_end.join(60)
    assert done.returncode == 1
    assert "sip_code=486" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("trunkline demo: the call ended early")
    assert not (folder / "stack.json").exists()
