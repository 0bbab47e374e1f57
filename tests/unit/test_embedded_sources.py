from pathlib import Path

from engine.embedded.sources import Source, host_sources, os_release, parse_deb822, parse_list, rank

DEBIAN_SOURCES = """\
Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def test_one_line_entries_without_comments_sources_and_cdroms():
    text = """\
# deb http://dead.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours
deb http://mirror.example/debian/ bookworm-updates main
"""
    assert parse_list(text) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib"), "/k.gpg"),
        Source("http://mirror.example/debian/", "bookworm-updates", ("main",)),
    ]


def test_deb822_gives_one_entry_for_each_suite():
    found = parse_deb822(DEBIAN_SOURCES)
    assert [(item.uri, item.suite) for item in found] == [
        ("http://mirror.example.org/debian", "bookworm"),
        ("http://mirror.example.org/debian", "bookworm-updates"),
        ("http://mirror.example.org/debian-security", "bookworm-security"),
    ]
    assert {item.signed_by for item in found} == {"/usr/share/keyrings/debian-archive-keyring.gpg"}


def test_deb822_keeps_a_key_block_and_leaves_out_what_is_disabled_or_source():
    text = """\
Types: deb
URIs: http://a.example/debian http://b.example/debian
Suites: trixie
Components:
 main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://src.example/debian
Suites: trixie
Components: main
"""
    found = parse_deb822(text)
    assert [item.uri for item in found] == ["http://a.example/debian", "http://b.example/debian"]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by.splitlines() == [
        "",
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " mQINBF",
        " -----END PGP PUBLIC KEY BLOCK-----",
    ]


def test_the_archive_comes_before_vendors_that_look_like_it():
    vendor = Source("https://apt.vendor.example", "bookworm", ("main",))
    microsoft = Source("https://packages.example/debian/12/prod", "bookworm", ("main",))
    docker = Source("https://download.example/linux/debian", "bookworm", ("stable",))
    security = Source("http://mirror.example/debian-security", "bookworm-security", ("main",))
    archive = Source("http://mirror.example/debian/", "bookworm", ("main",), "/k/debian-archive-keyring.gpg")
    assert rank([vendor, docker, microsoft, security, archive], "bookworm") == [archive, vendor, microsoft]


def test_a_host_that_follows_a_moving_suite_has_its_mirror_found():
    sid = Source("http://mirror.example.org/debian", "sid", ("main",))
    assert rank([sid], "forky") == [sid]


def test_another_distribution_has_no_mirror_of_debian():
    ubuntu = Source("http://archive.ubuntu.com/ubuntu", "noble", ("main",))
    assert rank([ubuntu], "bookworm") == []


def test_the_files_of_a_host_are_read_in_both_formats(tmp_path: Path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://old.example/debian bookworm main\n")
    (parts / "debian.sources").write_text(DEBIAN_SOURCES)
    (parts / "vendor.list.disabled").write_text("deb http://off.example/debian bookworm main\n")
    uris = [item.uri for item in host_sources(tmp_path)]
    assert uris[0] == "http://old.example/debian"
    assert "http://off.example/debian" not in uris
    assert len(uris) == 4


def test_os_release_is_read_without_its_quotes(tmp_path: Path):
    file = tmp_path / "os-release"
    file.write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# a comment=1\nVERSION_CODENAME=bookworm\n')
    assert os_release(file)["VERSION_CODENAME"] == "bookworm"
    assert os_release(file)["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm)"
    assert os_release(tmp_path / "none") == {}
