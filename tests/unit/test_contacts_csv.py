"""CSV files as programs write them, and what is no CSV file."""

import io
import json

import pytest

from engine.dialer.contacts.rows import Report, columns, copied
from engine.dialer.contacts.text import LONGEST_LINE, BadFile, lines


def read(data, *, skip=False, with_fields=True, country="91"):
    report = Report()
    out = b"".join(copied(io.BytesIO(data), report, country=country, with_fields=with_fields, skip=skip)).decode()
    rows = [line.split("\t") for line in out.splitlines()]
    if with_fields:
        rows = [[number, name, json.loads(fields.replace("\\\\", "\\"))] for number, name, fields in rows]
    return rows, report


HEADED = "contact_name,contact_number,field1,city\nAnkit,919979270001,500,Zürich\nabc,918000680002,,Paris\n"
EXPECTED = [
    ["919979270001", "Ankit", {"field1": "500", "city": "Zürich"}],
    ["918000680002", "abc", {"city": "Paris"}],
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_whatever_excel_writes(encoding, delimiter, end):
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    data = marks.get(encoding, b"") + HEADED.replace(",", delimiter).replace("\n", end).encode(encoding)
    assert read(data)[0] == EXPECTED


def test_without_a_header():
    rows, report = read(b"919979270001,Ankit,500,Jayswal\n9180006800,abc\n")
    assert rows == [["919979270001", "Ankit", {"field1": "500", "field2": "Jayswal"}], ["919180006800", "abc", {}]]
    assert (report.rows, report.bad) == (2, 0)


def test_numbers_alone():
    assert [row[0] for row in read(b"919979270001\n+918000680002\n00918000680003\n")[0]] == [
        "919979270001",
        "918000680002",
        "918000680003",
    ]


def test_excels_separator_line_quotes_and_empty_lines():
    data = b'sep=;\r\n"contact_number";"note"\r\n\r\n"919979270001";"says ""hi"";\r\ntwice \\ here"\r\n;;\r\n'
    rows, _ = read(data)
    assert rows == [["919979270001", "", {"note": 'says "hi";\ntwice \\ here'}]]


def test_lines_of_bad_rows_are_those_of_the_file():
    data = b"contact_number,contact_name\n919979270001,a\n12,b\n\nabc,c\n9.19979E+11,d\n,e\n918000680002,f,g,h\n"
    rows, report = read(data)
    assert rows == []
    assert [each["line"] for each in report.shown] == [3, 5, 6, 7, 8]
    assert "scientific" in report.shown[2]["error"]
    assert (report.rows, report.bad) == (1, 5)
    rows, report = read(data, skip=True)
    assert [row[0] for row in rows] == ["919979270001"]


def test_the_first_hundred_bad_rows_are_told_of_and_all_are_counted():
    _, report = read(b"number\n" + b"x\n" * 250)
    assert (len(report.shown), report.bad) == (100, 250)
    assert report.shown[0] == {"line": 2, "error": report.shown[0]["error"]}


def test_a_column_of_json_fields():
    data = b'contact_number,contact_fields\n919979270001,"{""field1"": ""Ankit"", ""n"": 5}"\n918000680002,{\n'
    rows, report = read(data, skip=True)
    assert rows == [["919979270001", "", {"field1": "Ankit", "n": "5"}]]
    assert report.shown[0]["line"] == 3


def test_do_not_dial_numbers():
    rows, _ = read(b"dnd_contact_name,dnd_contact_number\nankit,919979270001\n", with_fields=False)
    assert rows == [["919979270001", "ankit"]]


@pytest.mark.parametrize("plain", [True, False])
def test_both_ways_of_making_a_row_agree(plain):
    names = ["contact_name", "contact_number", 'a "b"%', "c"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    name = "Ankit" if plain else " Ankit "
    rows, _ = read(f"{header}\n{name},919979270001,10%,x\\y\n{name},919979270002,10%,xy\n".encode())
    assert rows == [
        ["919979270001", "Ankit", {'a "b"%': "10%", "c": "x\\y"}],
        ["919979270002", "Ankit", {'a "b"%': "10%", "c": "xy"}],
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04\x14\x00", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1", "workbook"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
        (b"number\n91997927\x000001\n", "binary"),
        (b"\xff\xfea\x00\x00\x00", "binary"),
        (b"\xff\xfe\x00\xd8a\x00\n\x00", "UTF-16"),
        (b"contact_name,field1\nAnkit,500\n", "no column contact_number"),
        (b"name,city\nAnkit,Paris\n", "no column contact_number"),
        (b"number," + b"x" * (10 << 20) + b"\n919979270001\n", "longer than"),
        (b"number\n" + b"9" * (10 << 20), "line 2 is longer"),
        (b'number,a\n919979270001,"' + b"x\n" * 200_000, "from line"),
        (b"number,a,a\n1,2,3\n", "two columns"),
        (b"number,,a\n1,2,3\n", "without a name"),
    ],
)
def test_what_is_no_csv_file(data, told):
    with pytest.raises(BadFile, match=told):
        read(data)


def test_a_long_utf16_line_is_refused_before_it_is_read_whole():
    with pytest.raises(BadFile, match="longer than"):
        list(lines(io.BytesIO(b"\xff\xfe" + ("x" * (LONGEST_LINE * 4)).encode("utf-16-le"))))


def test_a_first_row_without_any_number_is_a_header_without_the_column():
    with pytest.raises(BadFile, match="contact_number"):
        columns(["city", "street"], "91")
    assert columns(["Ankit", "919979270001"], "91").width is None
