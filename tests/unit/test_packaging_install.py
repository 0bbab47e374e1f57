"""``trunkline install`` puts the configuration that the engine's YAML means onto a system's Asterisk."""

import pytest
import yaml

from engine import cli


@pytest.fixture
def settings(tmp_path):
    raw = {
        "state": str(tmp_path / "state"),
        "objects": str(tmp_path / "objects"),
        "recordings": str(tmp_path / "recordings"),
        "database": {"dsn": "postgresql://example"},
        "asterisk": [{"ari_password": "word-of-ari", "ami_secret": "word-of-ami", "ari": "http://127.0.0.1:9/ari"}],
        "trunks": {"paris": {"host": "sip.example.net", "user": "33123456789", "secret": "s;1", "register": True}},
        "softphones": [{"extension": "2001", "password": "word-of-2001"}],
    }
    path = tmp_path / "trunkline.yaml"

    def write(**changes):
        path.write_text(yaml.safe_dump(raw | changes), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def install(tmp_path, settings, monkeypatch):
    """Run it on a folder, with the system's own folders moved there too."""
    from engine.cli import install as module
    from engine.telephony.provision import Folders

    etc = tmp_path / "etc"
    etc.mkdir()
    log = tmp_path / "log"
    log.mkdir()

    def folders(etc, modules, data):
        names = ("var", "run", "spool", "db", "keys")
        return Folders(etc=etc, modules=modules or tmp_path, data=data or tmp_path, log=log,
                       **{name: tmp_path / name for name in names})  # fmt: skip

    monkeypatch.setattr(module, "_folders", folders)

    def run(*more, **changes):
        return cli.dispatch(["install", "--config", settings(**changes), "--etc", str(etc), *more])

    run.etc, run.log = etc, log
    return run


def test_trunks_phones_and_secrets_arrive(install):
    assert install("--sip", "192.0.2.1:5062", "--rtp", "12000-13000") == 0
    trunks = (install.etc / "pjsip_trunks.conf").read_text()
    assert "[paris](trunk)" in trunks
    assert r"password = s\;1" in trunks
    assert "[2001](softphone)" in (install.etc / "pjsip_softphones.conf").read_text()
    assert "bind = 192.0.2.1:5062" in (install.etc / "pjsip.conf").read_text()
    assert "password = word-of-ari" in (install.etc / "ari.conf").read_text()
    assert "secret = word-of-ami" in (install.etc / "manager.conf").read_text()
    rtp = (install.etc / "rtp.conf").read_text()
    assert "12000" in rtp
    assert "13000" in rtp
    assert "TRUNKLINE_APP = trunkline-e1" in (install.etc / "extensions.conf").read_text()
    assert (install.log / "cel-custom").is_dir()


def test_a_second_time_only_what_differs_is_written_and_the_old_is_kept(install, capsys):
    install()
    capsys.readouterr()
    assert install(trunks={"lyon": {"host": "192.0.2.7"}}) == 0
    written = [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()]
    assert "pjsip_trunks.conf" in written
    assert "pjsip.conf" not in written
    assert [path.name for path in install.etc.glob("pjsip_trunks.conf.*.bak")]


def test_a_relative_folder_becomes_absolute(install, monkeypatch):
    monkeypatch.chdir(install.etc.parent)
    assert install("--etc", "etc") == 0
    assert f"astetcdir = {install.etc}\n" in (install.etc / "asterisk.conf").read_text()


def test_empty_secrets_are_refused(install, capsys):
    assert install(asterisk=[{"ari_password": "", "ami_secret": "x"}]) == 1
    assert "must not be empty" in capsys.readouterr().err
    assert not list(install.etc.iterdir())


def test_an_unknown_server_is_named(install, capsys):
    assert install("--server", "other") == 1
    assert "other" in capsys.readouterr().err


def test_a_reload_that_meets_no_asterisk_says_so(install, capsys):
    assert install("--reload") == 1
    assert "no ARI at http://127.0.0.1:9/ari" in capsys.readouterr().err


async def test_a_reload_asks_for_the_sip_module():
    from aiohttp import encode_basic_auth, web

    from engine.cli.install import reload
    from engine.config import AsteriskServer

    asked = []

    async def put(request):
        asked.append((request.path, request.headers["Authorization"]))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_put("/ari/asterisk/modules/{name}", put)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        await reload(AsteriskServer(ari=f"http://127.0.0.1:{port}/ari", ari_password="word", ami_secret="x"))
    finally:
        await runner.cleanup()
    assert asked == [("/ari/asterisk/modules/res_pjsip.so", encode_basic_auth("trunkline", "word"))]
