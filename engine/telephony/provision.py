"""Configuration of an Asterisk: the templates of ``asterisk-conf/`` and ``dialplan/`` filled in with a deployment.

Everything that is put into a file passes ``conf_value``: secrets and names may come from people who would like to add
a line of their own. Files are written by rename, readable by their owner alone, so that Asterisk never reads half of
one, also when trunks are rendered again under a running server.
"""

import hashlib
import ipaddress
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jinja2

from engine import resources
from engine.config import Softphone, Trunk
from engine.errors import ConfigError, UnsafeValue
from engine.telephony.hold_music import write_hold_music

TRUNKS_FILE = "pjsip_trunks.conf"
EMERGENCY = ("112", "911", "999")
"""Numbers that a phone reaches over the first trunk also while the engine is away. 110 and 101 are softphones here."""

_LONGEST = 1024
"""Characters of one value; Asterisk cuts a line at 8192."""
_RESERVED = frozenset({"global", "system", "transport-udp", "endpoint-common", "trunk"})
_SETTINGS_OF_ARI_AND_AMI = frozenset({"general"})
_USER = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


@dataclass(frozen=True)
class Folders:
    """Where one Asterisk finds and keeps things; ``modules`` and ``data`` may be read-only."""

    etc: Path
    modules: Path
    data: Path
    var: Path
    run: Path
    log: Path
    spool: Path
    db: Path
    keys: Path

    def create(self) -> None:
        """Make the folders that Asterisk writes to, with those it expects inside."""
        for item in fields(self):
            if item.name not in ("modules", "data"):
                getattr(self, item.name).mkdir(parents=True, exist_ok=True)
        for part in ("recording", "outgoing", "tmp", "monitor", "voicemail/default", "cache"):
            (self.spool / part).mkdir(parents=True, exist_ok=True)
        (self.log / "cel-custom").mkdir(exist_ok=True)
        (self.keys / "keys").mkdir(exist_ok=True)

    @property
    def cel(self) -> Path:
        """The CSV that ``cel_custom`` writes."""
        return self.log / "cel-custom" / "Trunkline.csv"


@dataclass(frozen=True)
class Deployment:
    """All that the templates need. ``sip``, ``http``, ``ami`` and ``fastagi`` are ``host:port``."""

    folders: Folders
    sip: str
    http: str
    ami: str
    rtp: tuple[int, int]
    ari_user: str
    ari_password: str
    ami_user: str
    ami_secret: str
    app: str
    fastagi: str
    softphones: tuple[Softphone, ...]
    trunks: Mapping[str, Trunk]
    ringback: str


def softphone_endpoint(extension: str) -> str:
    """Name of the pjsip endpoint of a softphone: ``PJSIP/<name>`` dials its registered phones."""
    return extension


def trunk_endpoint(name: str) -> str:
    """Name of the pjsip endpoint of a trunk: ``PJSIP/<number>@<name>`` dials out by it."""
    return name


def render(deployment: Deployment) -> None:
    """Write the whole configuration to ``deployment.folders.etc`` and make the folders it names.

    Raises ConfigError for a deployment that can't be written down safely; nothing is written then.
    """
    files = rendered(deployment)
    deployment.folders.create()
    write_hold_music(_hold_music_folder(deployment.folders))
    for name, text in files.items():
        write_private(deployment.folders.etc / name, text)


def render_trunks(deployment: Deployment) -> Path:
    """Write the trunks alone; a reload of ``res_pjsip.so`` then applies them without touching calls."""
    path = deployment.folders.etc / TRUNKS_FILE
    write_private(path, _fill("asterisk-conf", TRUNKS_FILE, _context(deployment)))
    return path


def install(target_etc: Path, deployment: Deployment, *, backup: bool = True) -> list[Path]:
    """Put the configuration onto a system Asterisk; returns the files that were written.

    A file that differs is kept beside the new one as ``<name>.<UTC time>.bak`` and nothing is deleted. Owner and group
    are those of ``target_etc``, mode 0640: the distribution's Asterisk runs as a user of its own.
    """
    files = rendered(deployment)
    if not target_etc.is_dir():
        raise ConfigError(f"{target_etc}: no such folder; is Asterisk installed?")
    owner = target_etc.stat()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    written = []
    for name, text in files.items():
        path = target_etc / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        if backup and path.exists():
            shutil.copy2(path, _unused(path.with_name(f"{path.name}.{stamp}.bak")))
        _write(path, text, mode=0o640, owner=owner)
        written.append(path)
    write_hold_music(_hold_music_folder(deployment.folders))
    return written


def rendered(deployment: Deployment) -> dict[str, str]:
    """File name under ``etc`` → text, of every template."""
    context = _context(deployment)
    files = {path.name: _fill("asterisk-conf", path.name, context) for path in _templates("asterisk-conf")}
    for path in _templates("dialplan"):
        name = path.name if path.name == "extensions.conf" else f"dialplan/{path.name}"
        files[name] = _fill("dialplan", path.name, context)
    return files


def conf_value(value: object) -> object:
    """``value`` as it may stand behind ``key =`` in an Asterisk configuration file.

    A line break would begin a new setting and is refused, as are other control characters and blanks at the ends,
    which Asterisk would strip. A semicolon would begin a comment and is escaped, the only escape that its reader
    (``main/config.c``) knows. ``${`` would be evaluated where a dialplan reads it and is refused.
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text):
        raise UnsafeValue("a configuration value has a control character or line break")
    if text != text.strip() or len(text) > _LONGEST:
        raise UnsafeValue("a configuration value has blanks at its ends or is too long")
    if "${" in text or "$[" in text:
        raise UnsafeValue("a configuration value has a dialplan expression")
    return text.replace(";", r"\;")


def host_port(address: str) -> tuple[str, int]:
    """``127.0.0.1:5060`` → ``("127.0.0.1", 5060)``; raises ConfigError for what is not that."""
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", host) or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"{address!r} is not host:port")
    return host, int(port)


def voicemail_pin(password: str) -> str:
    """Six digits from a softphone's password: stable, not guessable without it, and not telling it."""
    return f"{int.from_bytes(hashlib.sha256(b'voicemail:' + password.encode()).digest()[:8]) % 10**6:06d}"


def _templates(folder: str) -> Iterable[Path]:
    return sorted(resources.folder(folder).glob("*.conf"))


def _fill(folder: str, name: str, context: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(  # noqa: S701 - not HTML: conf_value escapes for Asterisk's reader
        loader=jinja2.FileSystemLoader(resources.folder(folder)),
        undefined=jinja2.StrictUndefined,
        finalize=conf_value,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(name).render(context)
    except UnsafeValue as error:
        raise ConfigError(f"{name}: {error}") from error


def _context(deployment: Deployment) -> dict[str, Any]:
    sip_host, _ = host_port(deployment.sip)
    http_host, http_port = host_port(deployment.http)
    ami_host, ami_port = host_port(deployment.ami)
    host_port(deployment.fastagi)
    for user in (deployment.ari_user, deployment.ami_user):
        if not _USER.fullmatch(user) or user in _SETTINGS_OF_ARI_AND_AMI:
            raise ConfigError(f"{user!r} can't be the name of an ARI or AMI user")
    if not _USER.fullmatch(deployment.app):
        raise ConfigError(f"{deployment.app!r} can't be the name of an ARI application")
    return {
        **{item.name: getattr(deployment, item.name) for item in fields(deployment)},
        "media_address": "" if sip_host in ("0.0.0.0", "::") else sip_host,  # noqa: S104 - compared, not bound
        "http_host": http_host,
        "http_port": http_port,
        "ami_host": ami_host,
        "ami_port": ami_port,
        "rtp_first": deployment.rtp[0],
        "rtp_last": deployment.rtp[1],
        "trunks": [_trunk(name, trunk) for name, trunk in sorted(deployment.trunks.items())],
        "first_trunk": next(iter(deployment.trunks), ""),
        "mailboxes": [
            {"extension": phone.extension, "pin": voicemail_pin(phone.password.get_secret_value())}
            for phone in deployment.softphones
        ],
        "emergency": [
            number for number in EMERGENCY if number not in {phone.extension for phone in deployment.softphones}
        ],
        "hold_music": _hold_music_folder(deployment.folders),
    }


def _trunk(name: str, trunk: Trunk) -> dict[str, Any]:
    if name in _RESERVED or name.startswith("softphone") or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ConfigError(f"trunks.{name}: this name is taken by the configuration itself")
    if trunk.register_ and not trunk.user:
        raise ConfigError(f"trunks.{name}: registration needs a user")
    return {
        "name": trunk_endpoint(name),
        "host": trunk.host,
        "user": trunk.user,
        "secret": trunk.secret.get_secret_value(),
        "codecs": ",".join(trunk.codecs),
        "registers": trunk.register_,
        "match": trunk.match or (_default_match(trunk.host),),
        "caller_id": trunk.caller_id,
        "from_user": trunk.user if trunk.caller_id != "from" else "",
    }


def _default_match(host: str) -> str:
    """Where a trunk's INVITEs come from: its host, from any port, but on loopback, which peers share, from its own."""
    name = host.partition(":")[0]
    return host if _is_loopback(name) else name


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _hold_music_folder(folders: Folders) -> Path:
    packaged = folders.data / "moh"
    if packaged.is_dir() and any(packaged.iterdir()):
        return packaged
    return folders.var / "moh"


def _unused(path: Path) -> Path:
    count = 1
    candidate = path
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{count}")
        count += 1
    return candidate


def write_private(path: Path, text: str) -> None:
    """Write a file by rename, readable by its owner alone; its folder is made."""
    _write(path, text, mode=0o600)


def _write(path: Path, text: str, *, mode: int, owner: os.stat_result | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        if owner and os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    partial.replace(path)
