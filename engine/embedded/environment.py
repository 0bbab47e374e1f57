"""What the batteries read from the environment: one module, so that it can be listed and documented in one place.

=========================  ===============================================================================
``TRUNKLINE_STATE``        state folder of the stack (``var`` under the working directory when unset)
``TRUNK``                  ``host:port`` that outbound numbers go to instead of the carrier simulator
``TRUNKLINE_POSTGRES``     DSN of a PostgreSQL of one's own; none is then started
``TRUNKLINE_ENGINE_ID``    name of this engine; generated once per state folder when unset
``TRUNKLINE_HOOK_ALLOW``   networks, separated by commas, opened to web hooks and media URLs
``TRUNKLINE_ASTERISK``     path of the Asterisk program to use, before PATH and before fetching one
``XDG_CACHE_HOME``         where fetched packages are kept (``~/.cache``), under ``trunkline/``
=========================  ===============================================================================
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError

_TRUNK = re.compile(r"[A-Za-z0-9_.\-]+:\d{1,5}")


@dataclass(frozen=True, kw_only=True)
class Environment:
    state: Path
    cache: Path
    path: str = ""
    trunk: str | None = None
    postgres: str | None = None
    engine_id: str | None = None
    hook_allow: tuple[str, ...] = ()
    asterisk: Path | None = None


def read(environ: Mapping[str, str] | None = None, *, state: Path | None = None) -> Environment:
    """The environment as it is now; ``state`` (an option of a command) wins over ``TRUNKLINE_STATE``.

    Raises ConfigError for a ``TRUNK`` that is not ``host:port``.
    """
    env = os.environ if environ is None else environ
    trunk = env.get("TRUNK") or None
    if trunk and not _TRUNK.fullmatch(trunk):
        raise ConfigError(f"TRUNK must be host:port, not {trunk!r}")
    asterisk = env.get("TRUNKLINE_ASTERISK")
    return Environment(
        state=(state or Path(env.get("TRUNKLINE_STATE") or "var")).expanduser().absolute(),
        cache=cache_folder(env),
        path=env.get("PATH", os.defpath),
        trunk=trunk,
        postgres=env.get("TRUNKLINE_POSTGRES") or None,
        engine_id=env.get("TRUNKLINE_ENGINE_ID") or None,
        hook_allow=tuple(part.strip() for part in env.get("TRUNKLINE_HOOK_ALLOW", "").split(",") if part.strip()),
        asterisk=Path(asterisk).expanduser().absolute() if asterisk else None,
    )


def names_state(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``TRUNKLINE_STATE`` names a folder."""
    return bool((os.environ if environ is None else environ).get("TRUNKLINE_STATE"))


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """``${XDG_CACHE_HOME:-~/.cache}/trunkline``; a relative XDG_CACHE_HOME is ignored, as its specification says."""
    env = os.environ if environ is None else environ
    base = env.get("XDG_CACHE_HOME", "")
    home = Path(env["HOME"]) if env.get("HOME") else Path("~").expanduser()
    return (Path(base) if base.startswith("/") else home / ".cache") / "trunkline"


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Environment of a child process: ours without Asterisk's and PostgreSQL's own switches, and ``extra``."""
    foreign = ("PGHOST", "PGPORT", "PGDATA", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSERVICE", "LD_PRELOAD")
    return {**{key: value for key, value in os.environ.items() if key not in foreign}, **extra}
