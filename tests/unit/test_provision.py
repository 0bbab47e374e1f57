"""Configuration files from a deployment: what is written, what is escaped, and what is refused."""

import re
import stat
import wave
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine import resources
from engine.config import Softphone, Trunk
from engine.errors import ConfigError, UnsafeValue
from engine.telephony import provision
from engine.telephony.provision import Deployment, Folders, conf_value, install, render, render_trunks, rendered

_SAMPLE_COLUMNS = re.findall(
    r"\S+",
    "eventtype eventtime CALLERID(name) CALLERID(num) CALLERID(ANI) CALLERID(RDNIS) CALLERID(DNID) CHANNEL(exten) "
    "CHANNEL(context) CHANNEL(channame) CHANNEL(appname) CHANNEL(appdata) CHANNEL(amaflags) CHANNEL(accountcode) "
    "CHANNEL(uniqueid) CHANNEL(linkedid) BRIDGEPEER CHANNEL(userfield) userdeftype eventextra",
)


def parsed(text: str) -> dict[str, list[tuple[str, str]]]:
    """A configuration file as Asterisk's own reader (main/config.c) takes it: escapes, comments, sections."""
    sections: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).replace(r"\;", ";").strip()
        if match := re.match(r"\[([^]]+)]", line):
            current = sections.setdefault(match[1], [])
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current.append((key.strip(), value.removeprefix(">").strip()))
    return sections


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    base = tmp_path / "a state folder"
    data = tmp_path / "tree"
    data.mkdir()
    written = {name: base / name for name in ("etc", "var", "run", "log", "spool", "db", "keys")}
    return Deployment(
        folders=Folders(modules=data / "modules", data=data, **written),
        sip="127.0.0.1:5060",
        http="127.0.0.1:8088",
        ami="127.0.0.1:5038",
        rtp=(10000, 10999),
        ari_user="trunkline",
        ari_password="ari-secret",
        ami_user="trunkline",
        ami_secret="ami-secret",
        app="trunkline-e1",
        fastagi="127.0.0.1:4573",
        softphones=tuple(Softphone(extension=str(n), password=f"word-{n}") for n in range(101, 111)),
        trunks={"carrier": Trunk(host="127.0.0.1:5080")},
        ringback="uk",
    )


def with_trunk(deployment: Deployment, **settings: object) -> Deployment:
    return replace(deployment, trunks={"provider": Trunk.model_validate({"host": "sip.example.net", **settings})})


def section(files: Mapping[str, str], file: str, name: str) -> dict[str, str]:
    return dict(parsed(files[file])[name])


def test_every_template_is_written_and_private(deployment: Deployment) -> None:
    render(deployment)
    etc = deployment.folders.etc
    for source in resources.folder("asterisk-conf").glob("*.conf"):
        assert stat.S_IMODE((etc / source.name).stat().st_mode) == 0o600
    for source in resources.folder("dialplan").glob("*.conf"):
        target = etc / source.name if source.name == "extensions.conf" else etc / "dialplan" / source.name
        assert "{{" not in target.read_text()
    assert not list(etc.rglob(".*")), "partial files stay behind"


def test_included_files_exist(deployment: Deployment) -> None:
    files = rendered(deployment)
    included = {name for text in files.values() for name in re.findall(r"^#include (\S+)", text, re.MULTILINE)}
    assert included
    assert included <= files.keys()


def test_secrets_with_semicolons_and_backslashes_arrive_whole(deployment: Deployment) -> None:
    nasty = r"a;b\;c\\;--d=>e#[x] é,%s"
    phone = Softphone(extension="101", password=nasty)
    changed = replace(deployment, ari_password=nasty, ami_secret=nasty, softphones=(phone,))
    changed = replace(changed, trunks={"provider": Trunk(host="10.0.0.1", user="u", secret=nasty)})
    files = rendered(changed)
    assert ("password", nasty) in parsed(files["pjsip_softphones.conf"])["101"]
    assert ("password", nasty) in parsed(files["pjsip_trunks.conf"])["provider"]
    assert section(files, "ari.conf", "trunkline")["password"] == nasty
    assert section(files, "manager.conf", "trunkline")["secret"] == nasty


@pytest.mark.parametrize(
    "secret",
    [
        "x\nallow_transfer=yes",
        "x\r\n[admin]",
        "x\x0bdeny=",
        "x\x85y",
        "x\u2028[admin]",
        "x\x00y",
        " x",
        "x ",
        "${SHELL(id)}",
        "$[1+1]",
        "x" * 2000,
    ],
)
def test_what_would_change_the_file_is_refused_before_anything_is_written(deployment: Deployment, secret: str) -> None:
    for changed in (
        replace(deployment, ari_password=secret),
        replace(deployment, ami_secret=secret),
        replace(deployment, softphones=(Softphone(extension="101", password=secret),)),
        with_trunk(deployment, user="u", secret=secret),
    ):
        with pytest.raises(ConfigError) as refused:
            render(changed)
        assert secret not in str(refused.value), "a secret must not be in an error"
        assert not deployment.folders.etc.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"ari_user": "general"},
        {"ari_user": "a]b"},
        {"ami_user": "x\ny"},
        {"app": "a,b"},
        {"app": "${X}"},
        {"sip": "127.0.0.1"},
        {"http": "127.0.0.1:99999"},
        {"ami": "a b:1"},
        {"fastagi": "h:0"},
    ],
)
def test_names_and_addresses_are_checked(deployment: Deployment, change: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        rendered(replace(deployment, **change))  # type: ignore[arg-type]


def test_conf_value_leaves_numbers_and_escapes_paths() -> None:
    assert conf_value(5060) == 5060
    assert conf_value(Path("/a b/c;d")) == r"/a b/c\;d"
    with pytest.raises(UnsafeValue):
        conf_value("a\nb")


def test_cel_has_the_samples_columns_and_their_order(deployment: Deployment) -> None:
    mapping = re.search(r"^Trunkline\.csv => (.*)$", rendered(deployment)["cel_custom.conf"], re.MULTILINE)
    assert mapping
    assert re.findall(r"\$\{CSV_QUOTE\(\$\{(\w+(?:\(\w+\))?)}\)}", mapping[1]) == _SAMPLE_COLUMNS
    cel = section(rendered(deployment), "cel.conf", "general")
    assert cel == {"enable": "yes", "apps": "all", "events": "ALL"}, "no dateformat: epoch with microseconds"


def test_manager_has_least_privilege(deployment: Deployment) -> None:
    user = section(rendered(deployment), "manager.conf", "trunkline")
    assert set(user["write"].split(",")) == {"call", "user", "reporting"}
    assert set(user["read"].split(",")) == {"call", "user", "reporting", "system"}, "hears which phones register"
    assert user["deny"] == "0.0.0.0/0.0.0.0"
    assert section(rendered(deployment), "manager.conf", "general")["webenabled"] == "no"


def test_nothing_dangerous_is_loaded_or_open(deployment: Deployment) -> None:
    files = rendered(deployment)
    loaded = {value for _, value in parsed(files["modules.conf"])["modules"]}
    assert "no" in loaded
    assert not loaded & {"func_shell.so", "func_curl.so", "func_env.so", "func_db.so", "app_system.so"}
    assert section(files, "asterisk.conf", "options")["live_dangerously"] == "no"
    assert section(files, "ari.conf", "general")["allowed_origins"] == ""
    assert int(section(files, "http.conf", "general")["sessionlimit"]) >= 100


def test_dial_is_used_by_the_fallback_alone(deployment: Deployment) -> None:
    files = rendered(deployment)
    users = {name for name, text in files.items() if re.search(r"^[^;]*\bDial\(", text, re.MULTILINE)}
    assert users == {"dialplan/fallback.conf"}


def test_the_dialplan_routes_by_the_engines_application(deployment: Deployment) -> None:
    files = rendered(replace(deployment, app="trunkline-e7"))
    assert section(files, "extensions.conf", "globals")["TRUNKLINE_APP"] == "trunkline-e7"
    assert "Stasis(${TRUNKLINE_APP},flow,inbound,${called})" in files["dialplan/trunk-inbound.conf"]
    assert "Stasis(${TRUNKLINE_APP},flow,dial,${dialled})" in files["dialplan/softphones.conf"]


def test_a_trunk_block_becomes_pjsip_objects(deployment: Deployment) -> None:
    changed = with_trunk(deployment, user="acct", secret="s3", register=True, caller_id="pai", codecs=["alaw", "g722"])
    values = parsed(rendered(changed)["pjsip_trunks.conf"])["provider"]
    for expected in (
        ("allow", "alaw,g722"),
        ("send_pai", "yes"),
        ("from_user", "acct"),
        ("type", "registration"),
        ("client_uri", "sip:acct@sip.example.net"),
        ("contact", "sip:sip.example.net"),
        ("match", "sip.example.net"),
        ("username", "acct"),
    ):
        assert expected in values


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"host": "127.0.0.1:5080"}, ["127.0.0.1:5080"]),
        ({"host": "10.1.1.1:5070"}, ["10.1.1.1"]),
        ({"host": "10.1.1.1", "match": ["10.2.0.0/24", "10.3.3.3:5060"]}, ["10.2.0.0/24", "10.3.3.3:5060"]),
    ],
)
def test_where_a_trunks_calls_come_from(deployment: Deployment, settings: dict[str, object], match: list[str]) -> None:
    values = parsed(rendered(with_trunk(deployment, **settings))["pjsip_trunks.conf"])["provider"]
    assert [value for key, value in values if key == "match"] == match


def test_caller_id_in_from_alone_sends_no_identity_header(deployment: Deployment) -> None:
    keys = {key for key, _ in parsed(rendered(with_trunk(deployment, user="u"))["pjsip_trunks.conf"])["provider"]}
    assert not keys & {"send_pai", "send_rpid", "from_user", "trust_id_outbound"}


@pytest.mark.parametrize("name", ["global", "system", "trunk", "transport-udp", "endpoint-common", "softphone-auth"])
def test_a_trunk_cannot_take_a_name_of_the_configuration(deployment: Deployment, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        rendered(replace(deployment, trunks={name: Trunk(host="10.0.0.1")}))


def test_registration_needs_a_user(deployment: Deployment) -> None:
    with pytest.raises(ConfigError, match="user"):
        rendered(with_trunk(deployment, register=True))


def test_rendering_trunks_again_touches_that_file_alone(deployment: Deployment) -> None:
    render(deployment)
    before = {path: path.stat().st_ino for path in deployment.folders.etc.rglob("*.conf")}
    path = render_trunks(replace(deployment, trunks={**deployment.trunks, "other": Trunk(host="10.0.0.9")}))
    assert "sip:10.0.0.9" in path.read_text()
    changed = [found for found, inode in before.items() if found.stat().st_ino != inode]
    assert changed == [path]


def test_no_trunk_at_all_is_a_valid_deployment(deployment: Deployment) -> None:
    files = rendered(replace(deployment, trunks={}, softphones=()))
    assert section(files, "extensions.conf", "globals")["TRUNKLINE_TRUNK"] == ""


def test_hold_music_is_made_where_no_package_brings_it(deployment: Deployment) -> None:
    render(deployment)
    made = deployment.folders.var / "moh" / "trunkline-hold.wav"
    with wave.open(str(made)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 64000)
    packaged = deployment.folders.data / "moh"
    packaged.mkdir()
    (packaged / "song.wav").write_bytes(b"RIFF")
    assert section(rendered(deployment), "musiconhold.conf", "default")["directory"] == str(packaged)


def test_voicemail_pins_do_not_tell_the_password() -> None:
    assert re.fullmatch(r"\d{6}", provision.voicemail_pin("word-101"))
    assert provision.voicemail_pin("word-101") != provision.voicemail_pin("word-102")


def test_install_keeps_what_was_there_and_deletes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    target = tmp_path / "asterisk"
    target.mkdir()
    (target / "pjsip.conf").write_text("the old one")
    (target / "chan_dahdi.conf").write_text("not ours")
    written = install(target, deployment)
    assert {path.relative_to(target).as_posix() for path in written} == rendered(deployment).keys()
    backups = list(target.glob("pjsip.conf.*.bak"))
    assert [path.read_text() for path in backups] == ["the old one"]
    assert (target / "chan_dahdi.conf").read_text() == "not ours"
    assert stat.S_IMODE((target / "ari.conf").stat().st_mode) == 0o640
    assert install(target, deployment) == [], "nothing changed, nothing is written"
    assert len(list(target.glob("*.bak"))) == 1


def test_install_needs_the_folder(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is Asterisk installed"):
        install(tmp_path / "nowhere", deployment)
