import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calls.numbers import BadNumber, normalize


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("9979270001", "919979270001"),
        ("+9979270001", "9979270001"),
        ("009979270001", "9979270001"),
        ("919979270001", "919979270001"),
        ("+15168148111", "15168148111"),
        ("0015168148111", "15168148111"),
        ("101", "101"),
        ("123456", "123456"),
        ("1234567", "1234567"),
    ],
)
def test_a_number_becomes_the_digits_that_an_invite_carries(written, digits):
    assert normalize(written, country="91") == digits


@pytest.mark.parametrize(
    "written",
    ["", "12", "1" * 16, "+1" + "2" * 15, "12a4567", "1234567\r\n", "1234567&PJSIP/1", "123|4567", '1234567"', "${EXTEN}",
     "١٢٣٤٥٦٧", "++1234567", "+101", " 1234567", "1234567\n"],
)  # fmt: skip
def test_anything_else_is_refused(written):
    with pytest.raises(BadNumber):
        normalize(written, country="91")


@given(st.text(max_size=30))
def test_what_passes_is_ascii_digits_alone(written):
    try:
        digits = normalize(written, country="91")
    except BadNumber:
        return
    assert digits.isascii()
    assert digits.isdigit()
    assert 3 <= len(digits) <= 15
