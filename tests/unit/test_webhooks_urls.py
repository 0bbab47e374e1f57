"""URLs from outside: what is taken, and why the rest is not."""

import pytest
from aiohttp.helpers import is_ip_address
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from engine.webhooks.urls import BadUrl, literal, local_name, parse

GOOD = {
    "https://example.com": "https://example.com",
    "http://example.com:8080/a/b?c=d&e": "http://example.com:8080/a/b?c=d&e",
    "HTTPS://EXAMPLE.com/Path": "https://example.com/Path",
    "https://example.com/a#part": "https://example.com/a",
    "https://bücher.example/ü?q=ü": "https://xn--bcher-kva.example/%C3%BC?q=%C3%BC",
    "http://例え.テスト/": "http://xn--r8jz45g.xn--zckzah/",
    "http://93.184.215.14/": "http://93.184.215.14/",
    "http://[2606:4700::1111]:8443/x": "http://[2606:4700::1111]:8443/x",
    "http://example.com./": "http://example.com./",
    "http://my_host.example/": "http://my_host.example/",
}
BAD = [
    "",
    "example.com",
    "/path",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "http://",
    "http:///path",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://:@example.com/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:port/",
    "http://exa mple.com/",
    "http://example.com/a b",
    "http://example.com/\r\nX: y",
    "http://example.com\\@127.0.0.1/",
    "http://example.com/\x00",
    "http://example.com/\u202e",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://[]@",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:127.0.0.1/",
    "http://-example.com/",
    "http://exa$mple.com/",
    "http://a..b/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 130 + "com/",
    "https://example.com/" + "a" * 2048,
    "https://example.com/" + "ü" * 1000,
]


@pytest.mark.parametrize("text", GOOD)
def test_a_url_is_made_canonical(text):
    assert str(parse(text)) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_url_is_refused_with_a_reason(text):
    with pytest.raises(BadUrl) as told:
        parse(text)
    assert "127" not in str(told.value)


@pytest.mark.parametrize("text", ["http://１２７.0.0.1/", "http://127。0。0。1/", "http://①27.0.0.1/"])
def test_digits_of_other_scripts_become_an_address_that_is_seen_as_one(text):
    try:
        url = parse(text)
    except BadUrl:
        return
    assert literal(url) == "127.0.0.1"


@given(st.text(max_size=60))
def test_nothing_but_a_bad_url_is_raised(text):
    for prefix in ("", "http://", "https://example.com/", "http://[", "http://1"):
        try:
            url = parse(prefix + text)
        except BadUrl:
            continue
        assert url.scheme in ("http", "https")
        assert url.raw_host
        assert url.raw_user is None


@given(st.text(alphabet="abc0123.:[]%-_x/?#@\\ü。１", max_size=40))
def test_what_the_request_reads_is_what_was_read_here(text):
    """A canonical URL read again is itself; what aiohttp takes for an address, and does not look up, we do too."""
    try:
        url = parse("http://" + text)
    except BadUrl:
        return
    again = URL(str(url))
    assert (again, again.raw_host, again.port) == (url, url.raw_host, url.port)
    assert parse(str(url)) == url
    if is_ip_address(url.raw_host):
        assert literal(url) is not None


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "printer.local", "metadata.google.internal", "nas.lan", "x.home.arpa."]
)
def test_names_that_lead_nowhere_outside(host):
    assert local_name(host)
    assert not local_name("example.com")
    assert not local_name("local.example.com")
