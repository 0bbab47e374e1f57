"""The strict serializer, against what the field's security notices tell of."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UnsafeValue
from engine.telephony import safe

HOSTILE = ["\r", "\n", "\r\n", "\0", "&", "|", ",", "$", "{", "}", '"', "'", "\\", ";", "(", ")", "<", "`", " ", "%"]
HOSTILE += ["\x85", "\u2028", "\x7f", "\x1b", "٣", "３", "..", "\ud800"]
hostile_text = st.builds(
    lambda before, bad, after: before + bad + after,
    st.text("0123456789abcPJSI/@", max_size=12),
    st.sampled_from(HOSTILE),
    st.text(max_size=12),
)


@given(hostile_text)
def test_number_is_digits(text: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.number(text)


@pytest.mark.parametrize("text", ["101", "+15551234567", "919979270001", "00919979270001"])
def test_number_passes(text: str) -> None:
    assert safe.number(text) == text


@pytest.mark.parametrize("text", ["", "+", "1" * 21, "1+", "abc", "*43"])
def test_number_refuses(text: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.number(text)


@given(st.text())
def test_number_gives_back_nothing_but_digits(text: str) -> None:
    with contextlib.suppress(UnsafeValue):
        assert re.fullmatch(r"\+?[0-9]{1,20}", safe.number(text))


@given(hostile_text)
def test_endpoint_is_no_second_dial_string(text: str) -> None:
    for candidate in (text, f"PJSIP/{text}", f"PJSIP/{text}@trunk", f"PJSIP/1@{text}"):
        with pytest.raises(UnsafeValue):
            safe.endpoint(candidate)


@pytest.mark.parametrize(
    "text",
    ["PJSIP/101", "PJSIP/15551234567@carrier", "PJSIP/+4930123@my-trunk_2", "PJSIP/carrier/sip:bot@127.0.0.1:5090"],
)
def test_endpoint_passes(text: str) -> None:
    assert safe.endpoint(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Local/1@a",
        "SIP/1",
        "PJSIP/",
        "PJSIP/a@b@c",
        "PJSIP/1/sip:x@y;z",
        "PJSIP/1/sip:x&PJSIP/2",
        "PJSIP/1/sip:x@y,60",
        "pjsip/101",
        "PJSIP/-",
    ],
)
def test_endpoint_refuses(text: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.endpoint(text)


@pytest.mark.parametrize("text", ["..", ".", "a/b", "a b", "", "-x", "a%2fb", "a" * 151])
def test_identifier_refuses(text: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.identifier(text)


@pytest.mark.parametrize("text", ["tl-57362de4f0-1.snoop", "1795306978.12", "tl-57362de4f0-b1"])
def test_identifier_passes(text: str) -> None:
    assert safe.identifier(text) == text


@pytest.mark.parametrize(
    "text",
    ["sound:beep", "sound:/srv/a b/prompts/hello", "tone:ring;tonezone=fr", "tone:350+440", "recording:tl-1.rec",
     "digits:12#", "number:42", "characters:abc", "sound:digits/1"],
)  # fmt: skip
def test_media_passes(text: str) -> None:
    assert safe.media_uri(text) == text


@pytest.mark.parametrize(
    "text",
    ["sound:../../etc/passwd", "sound:a/../b", "http://x/y.wav", "sound:", "tone:350,440", "sound:a,sound:b",
     "recording:..", "digits:1,2", "sound:a\nb", "sound:${X}", "beep", "sound:a;b"],
)  # fmt: skip
def test_media_refuses(text: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.media_uri(text)


@given(st.text(), st.sampled_from(["\r", "\n", "\0", "$", "{", "}", '"', "'", "\\", ";", "(", ")", "&", "|", ",", "`"]))
def test_variable_value_has_nothing_to_expand(text: str, bad: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.variable("NAME", text + bad)


@pytest.mark.parametrize("name", ["TIMEOUT(absolute)", "__TRUNKLINE", "PJSIP_TRANSFER_HANDLING()", "CDR(x)"])
def test_variable_passes(name: str) -> None:
    assert safe.variable(name, "ari-only 7200") == (name, "ari-only 7200")


@pytest.mark.parametrize("name", ["", "A B", "SHELL(rm -rf)", "A(b)(c)", "1A", "A(${B})", "A=b", "A,B"])
def test_variable_name_refuses(name: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.variable(name, "x")


@given(st.text())
def test_header_value_stays_on_its_line(text: str) -> None:
    try:
        value = safe.header_value(text)
    except UnsafeValue:
        return
    assert value == text
    assert len(f"X: {value}".splitlines()) == 1
    value.encode()


@given(st.text())
def test_agi_argument_is_one_argument(text: str) -> None:
    try:
        quoted = safe.agi_argument(text)
    except UnsafeValue:
        return
    inner = quoted[1:-1]
    assert re.fullmatch(r'(?:[^"\\]|\\["\\])*', inner, re.DOTALL)
    assert re.sub(r'\\(["\\])', r"\1", inner) == text


def test_long_header_is_refused() -> None:
    with pytest.raises(UnsafeValue):
        safe.header_value("x" * 1025)


@pytest.mark.parametrize("name", ["Action\r\nX", "A B", "A:", "", "Ä"])
def test_header_name_refuses(name: str) -> None:
    with pytest.raises(UnsafeValue):
        safe.header_name(name)


def test_party_is_name_and_number() -> None:
    assert safe.party("15168148111") == '"15168148111" <15168148111>'
    with pytest.raises(UnsafeValue):
        safe.party('1" <2>')


def test_refusal_does_not_show_the_value() -> None:
    with pytest.raises(UnsafeValue) as refused:
        safe.number("secret-otp-1234")
    assert "secret" not in str(refused.value)


def test_not_a_string_is_refused() -> None:
    with pytest.raises(UnsafeValue):
        safe.number(101)  # type: ignore[arg-type]
