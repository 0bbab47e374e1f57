"""``trunkline install``: Asterisk's configuration, rendered from the engine's, onto a system's Asterisk."""

import argparse
import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from engine import config
from engine.cli.options import add_config
from engine.config import AsteriskServer, Config
from engine.embedded.asterisk import installed
from engine.errors import ConfigError, LinkDown, Refused, RequestTimedOut
from engine.telephony.provision import Deployment, Folders, install

if TYPE_CHECKING:
    from engine.cli import Subparsers

RELOAD_WITHIN = 10
"""Seconds."""
_UNPRIVILEGED = 1024
_DEBIAN_MODULES = Path("/usr/lib/x86_64-linux-gnu/asterisk/modules")


def register(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser(
        "install",
        description="Write Asterisk's configuration and dialplan, rendered from the engine's configuration, onto a "
        "system's Asterisk (22, or 20). A file that differs is kept beside the new one as NAME.TIME.bak; nothing is "
        "deleted. Restart Asterisk after the first time; after a change of trunks --reload is enough.",
    )
    add_config(parser)
    parser.add_argument("--etc", type=Path, default=Path("/etc/asterisk"), metavar="FOLDER", help="(%(default)s)")
    parser.add_argument("--server", metavar="NAME", help="which of several `asterisk:` entries this machine is")
    parser.add_argument("--sip", default="0.0.0.0:5060", metavar="HOST:PORT", help="where it takes SIP (%(default)s)")
    parser.add_argument("--rtp", type=_ports, default=(10000, 20000), metavar="FIRST-LAST", help="(10000-20000)")
    parser.add_argument("--modules", type=Path, metavar="FOLDER", help="of Asterisk's modules (found when installed)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of Asterisk's sounds (found when installed)")
    parser.add_argument(
        "--reload", action="store_true", help="have the running Asterisk take up its trunks and phones; calls go on"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = config.load(config.find(arguments.config))
    server = _server(settings, arguments.server)
    etc = arguments.etc.absolute()
    folders = _folders(etc, arguments.modules, arguments.data)
    for path in install(etc, _deployment(settings, server, folders, arguments)):
        print(path)
    _make_cel_folder(folders.cel.parent)
    if arguments.reload:
        asyncio.run(reload(server))
    return 0


async def reload(server: AsteriskServer) -> None:
    """Have Asterisk read its pjsip objects again: transports, registrations and calls are left alone."""
    url = f"{server.ari.rstrip('/')}/asterisk/modules/res_pjsip.so"
    credentials = aiohttp.encode_basic_auth(server.ari_user, server.ari_password.get_secret_value(), encoding="utf-8")
    headers, timeout = {"Authorization": credentials}, aiohttp.ClientTimeout(total=RELOAD_WITHIN)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client, client.put(url) as answer:
            if answer.status >= 400:  # noqa: PLR2004
                raise Refused(f"{server.name} answered the reload with {answer.status}", status=answer.status)
    except aiohttp.ClientError as error:
        raise LinkDown(f"{server.name}: no ARI at {server.ari}") from error
    except TimeoutError:
        raise RequestTimedOut(f"{server.name}: the reload took over {RELOAD_WITHIN} s") from None


def _server(settings: Config, name: str | None) -> AsteriskServer:
    """Raises ConfigError; also for empty secrets, which would leave ARI or AMI open to whoever is on the machine."""
    server = next((server for server in settings.asterisk if name in (None, server.name)), None)
    if server is None:
        raise ConfigError(f"no `asterisk:` entry is called {name}")
    if not server.ari_password.get_secret_value() or not server.ami_secret.get_secret_value():
        raise ConfigError(f"asterisk {server.name}: ari_password and ami_secret must not be empty")
    return server


def _make_cel_folder(folder: Path) -> None:
    """Debian's package does not have it, and cel_custom does not make it: it belongs to who owns the log folder."""
    if folder.parent.is_dir() and not folder.exists():
        folder.mkdir(mode=0o750)
        owner = folder.parent.stat()
        if os.geteuid() == 0:
            os.chown(folder, owner.st_uid, owner.st_gid)


def _folders(etc: Path, modules: Path | None, data: Path | None) -> Folders:
    """A system's folders as Debian and Asterisk's own ``make install`` have them."""
    found = installed(Path("/usr/sbin/asterisk"))
    library = Path("/var/lib/asterisk")
    return Folders(
        etc=etc,
        modules=modules or (found.modules if found else _DEBIAN_MODULES),
        data=data or (found.data if found else Path("/usr/share/asterisk")),
        var=library,
        run=Path("/var/run/asterisk"),
        log=Path("/var/log/asterisk"),
        spool=Path("/var/spool/asterisk"),
        db=library,
        keys=library,
    )


def _deployment(
    settings: Config, server: AsteriskServer, folders: Folders, arguments: argparse.Namespace
) -> Deployment:
    ari = urlsplit(server.ari)
    return Deployment(
        folders=folders,
        sip=arguments.sip,
        http=f"{ari.hostname}:{ari.port or 80}",
        ami=server.ami,
        rtp=arguments.rtp,
        ari_user=server.ari_user,
        ari_password=server.ari_password.get_secret_value(),
        ami_user=server.ami_user,
        ami_secret=server.ami_secret.get_secret_value(),
        app=settings.app,
        fastagi=f"{settings.fastagi.host}:{settings.fastagi.port}",
        softphones=settings.softphones,
        trunks=settings.trunks,
        ringback=settings.ringback,
    )


def _ports(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if not match or not _UNPRIVILEGED <= int(match[1]) < int(match[2]) < 1 << 16:
        raise argparse.ArgumentTypeError("must be FIRST-LAST, such as 10000-20000")
    return int(match[1]), int(match[2])
