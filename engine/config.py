"""Typed configuration of one engine, from YAML and the environment.

The only reader of ``os.environ`` for the engine. Every model is frozen and refuses unknown keys, so that a typo in a
file is an error with its path (``asterisk.0.ari_pasword``) and not a default that nobody meant. Secrets are
``SecretStr``: they never appear in a ``repr``, a log line or an error.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from engine.errors import ConfigError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+\S*$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-\[\]:]+:\d{1,5}$")]


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(lambda text: ip_network(text, strict=False))]
"""``127.0.0.0/8``; a single address is a network of one."""


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Database(Model):
    dsn: SecretStr
    pool: int = Field(default=8, ge=2, le=100)
    when_away: Literal["refuse", "accept"] = "refuse"
    """What a new call meets while PostgreSQL is away: 503, or its attempt is committed to the spool first."""


class Http(Model):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    max_body: int = Field(default=1 << 20, ge=1024)
    """Bytes of a JSON request."""
    max_upload: int = Field(default=512 << 20, ge=1024)
    """Bytes of an upload; streamed."""


class FastAgi(Model):
    """The door for ``AGI(agi://…)``. AGI knows no password: whoever may connect may start flows."""

    host: str = "127.0.0.1"
    port: int = Field(default=4573, ge=0, le=65535)
    allow: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """Networks of the Asterisk servers that may connect; anybody else is turned away at once."""
    connections: int = Field(default=2000, ge=1, le=100_000)
    """Callers who may be here by this door at the same time."""


class AsteriskServer(Model):
    """One Asterisk. A call stays on the server it began on; a new one goes to a healthy one with the fewest calls."""

    name: Name = "asterisk"
    ari: str = "http://127.0.0.1:8088/ari"
    ari_user: str = "trunkline"
    ari_password: SecretStr
    ami: HostPort = "127.0.0.1:5038"
    ami_user: str = "trunkline"
    ami_secret: SecretStr
    cel: Path | None = None
    """CSV written by cel_custom in its sample format; without it, ends in a gap get the best time known."""
    recordings: Path | None = None
    """Asterisk's recording folder as the engine sees it (``/var/spool/asterisk/recording``); without it, files are
    fetched over ARI."""
    control: Path | None = None
    """Asterisk's control socket as the engine sees it (``/var/run/asterisk/asterisk.ctl``), asked now and then how full its
    queues are while due calls are under way. Without it, or where it can't be opened, slow answers and failures alone brake."""
    request_timeout: float = Field(default=10.0, gt=0)
    """Seconds any one ARI or AMI request may take."""


class Trunk(Model):
    """One SIP trunk; rendered into pjsip objects."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]+(:\d{1,5})?$")]
    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+\-]*$")] = ""
    secret: SecretStr = SecretStr("")
    codecs: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")], ...] = ("ulaw", "alaw")
    register_: bool = Field(default=False, alias="register")
    match: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-/:]+$")], ...] = ()
    """Addresses that INVITEs of this trunk come from; ``host`` when empty."""
    caller_id: Literal["from", "pai", "rpid"] = "from"
    """Where the caller's number stands: From alone, or also P-Asserted-Identity or Remote-Party-ID."""
    max_calls: int | None = Field(default=None, gt=0)
    """Due calls (campaigns, call-backs, instant calls) that one engine sends over it at once; no limit when not set."""


class Softphone(Model):
    extension: Annotated[str, StringConstraints(pattern=r"^\d{3,6}$")]
    password: SecretStr
    account: str = "account_1"


class Polly(Model):
    """Amazon Polly over HTTP; used when ``tts.engine`` is ``polly``."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    session_token: SecretStr = SecretStr("")
    endpoint: HttpUrl | None = None
    """Another address than Amazon's for the region."""


class HttpVoice(Model):
    """A speech server of one's own that answers with a sound file; used when ``tts.engine`` is ``http``.

    ``url`` and ``body`` have places ``{text} {voice} {language} {gender} {rate} {pitch} {engine}``, filled in quoted as
    each of them needs it.
    """

    url: HttpUrl | None = None
    method: Literal["GET", "POST", "PUT"] = "GET"
    headers: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")], SecretStr] = Field(
        default_factory=dict
    )
    body: str = ""


class Tts(Model):
    """Text to speech."""

    engine: Literal["espeak", "polly", "http"] = "espeak"
    polly: Polly = Polly()
    http: HttpVoice = HttpVoice()
    cache: Path | None = None
    """Folder of what was spoken; ``tts`` in the state folder when it is not named."""
    cache_bytes: int = Field(default=512 << 20, ge=1 << 20)
    """What the cache never grows past; the least recently used goes first, never what is being played."""
    deadline: float = Field(default=4.0, gt=0, le=60)
    """Seconds after which ``fallback`` is played instead."""
    fallback: Annotated[str, StringConstraints(pattern=r"^[a-z]+:[A-Za-z0-9_./&-]+$")] = "sound:please-try-call-later"
    """Media URI of a recorded prompt."""
    sounds: Path | None = None
    """The cache folder as Asterisk sees it, where that is another path (a share, a container)."""

    @model_validator(mode="after")
    def _engine_is_set_up(self) -> Self:
        if self.engine == "polly" and not (self.polly.access_key and self.polly.secret_key):
            raise ValueError("engine polly needs polly.access_key and polly.secret_key")
        if self.engine == "http" and self.http.url is None:
            raise ValueError("engine http needs http.url")
        return self


class Bucket(Model):
    """A bucket that speaks S3, in place of the folder ``objects``."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.\-]{2,62}$")]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")] = "us-east-1"
    endpoint: HttpUrl | None = None
    """Another address than Amazon's for the region."""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    prefix: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_.\-]+/?)*$")] = ""
    """What the names in the bucket begin with."""


class MediaLibrary(Model):
    folder: Path | None = None
    """Folder of the sounds; ``media`` in the state folder when it is not named."""
    sounds: Path | None = None
    """The same folder as Asterisk sees it, where that is another path (a share, a container)."""
    longest: float = Field(default=3600.0, gt=0, le=36_000)
    """Seconds that a sound may have."""


class Stt(Model):
    """Speech to text, for transcripts."""

    engine: Literal["pocketsphinx", "faster-whisper"] = "pocketsphinx"
    model: Path | None = None
    """Folder of a faster-whisper model; of pocketsphinx, another model than the one that comes with it."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en-US"
    patience: float = Field(default=12.0, gt=0, le=1000)
    """Seconds that a second of a recording may take, and a minute more."""

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if self.engine == "faster-whisper" and self.model is None:
            raise ValueError("engine faster-whisper needs model: the folder of a model on this machine")
        return self


class Webhooks(Model):
    allow: tuple[Network, ...] = ()
    """Networks opened to web hooks and media URLs although they are private (tests on loopback need it)."""
    ca: FilePath | None = None
    """PEM file of authorities that are trusted beside the system's."""


class MailServer(Model):
    """Who takes letters of flows: messages of callers, wishes to be called back."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]+$")]
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretStr = SecretStr("")
    sender: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]


class Dialer(Model):
    """What is dialled later, or many times."""

    max_calls: int = Field(default=300, ge=1, le=10_000)
    """Due calls that this engine has under way at once, at most; fewer while Asterisk is overloaded."""
    keep_days: int = Field(default=90, ge=1, le=3650)
    """Days after their end for which due calls can be read back; their calls and CDRs stay."""


class Config(Model):
    engine_id: Name = "e1"
    state: Path
    """Folder of everything the engine writes beside PostgreSQL: spool, offsets, lock."""
    objects: Path
    recordings: Path
    database: Database
    http: Http = Http()
    fastagi: FastAgi = FastAgi()
    asterisk: tuple[AsteriskServer, ...] = Field(min_length=1)
    trunks: dict[Name, Trunk] = Field(default_factory=dict)
    softphones: tuple[Softphone, ...] = ()
    default_account: str = "account_1"
    """Owner of calls that a trunk brings to a number without an account of its own."""
    webhooks: Webhooks = Webhooks()
    tts: Tts = Tts()
    bucket: Bucket | None = None
    media: MediaLibrary = MediaLibrary()
    stt: Stt = Stt()
    dialer: Dialer = Dialer()
    menus: Path | None = None
    """Folder of menu files; ``menus`` beside the configuration when it is not named."""
    mail: MailServer | None = None
    """Without it letters are kept as files, in ``mail`` of the state folder."""
    ringback: Literal["us", "uk", "fr", "de", "in"] = "us"
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def app(self) -> str:
        """Name of the ARI application: one per engine, because a second websocket of one name takes it over."""
        return f"trunkline-{self.engine_id}"


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the YAML file ``path``; ``TRUNKLINE_POSTGRES``, ``TRUNKLINE_ENGINE_ID`` and ``TRUNKLINE_HOOK_ALLOW`` win over it.

    Raises ConfigError that names the file and each wrong key.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of settings")
    raw.setdefault("menus", str(path.absolute().parent / "menus"))
    return parse(_overridden(raw, os.environ if environ is None else environ), source=str(path))


def parse(raw: Mapping[str, Any], *, source: str = "configuration") -> Config:
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False)
        )
        raise ConfigError(f"{source}: {problems}") from None


def find(explicit: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The configuration a command means: the option, TRUNKLINE_CONFIG, the stack of TRUNKLINE_STATE, ./var, or /etc."""
    env = os.environ if environ is None else environ
    if explicit or env.get("TRUNKLINE_CONFIG"):
        return Path(explicit or env["TRUNKLINE_CONFIG"])
    state = Path(env.get("TRUNKLINE_STATE") or "var")
    for candidate in (state / "engine.yaml", Path("/etc/trunkline/trunkline.yaml")):
        if candidate.exists():
            return candidate
    raise ConfigError(
        f"no configuration: neither {state / 'engine.yaml'} (is the stack of this folder running?) nor "
        "/etc/trunkline/trunkline.yaml exists; name one with --config, TRUNKLINE_CONFIG or TRUNKLINE_STATE"
    )


def service_manager(environ: Mapping[str, str] | None = None) -> tuple[str, float]:
    """Where a service manager wants to hear of us (NOTIFY_SOCKET, "" for nowhere), and how many seconds may pass between
    two signs of life: half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises; 0 for none."""
    env = os.environ if environ is None else environ
    meant = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    micros = env.get("WATCHDOG_USEC", "") if meant else ""
    return env.get("NOTIFY_SOCKET", ""), int(micros) / 2e6 if micros.isdigit() else 0.0


def _overridden(raw: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    merged = dict(raw)
    if dsn := env.get("TRUNKLINE_POSTGRES"):
        merged["database"] = {**merged.get("database", {}), "dsn": dsn}
    if engine_id := env.get("TRUNKLINE_ENGINE_ID"):
        merged["engine_id"] = engine_id
    if allow := env.get("TRUNKLINE_HOOK_ALLOW"):
        merged["webhooks"] = {"allow": [part.strip() for part in allow.split(",") if part.strip()]}
    return merged
