"""VOTables: cells against those that were written, hostile and cut documents refused."""

from __future__ import annotations

import base64
import io
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import votable
from astropy.table import MaskedColumn, Table

from galaxyds.archives.votable import ends_whole, read_document, read_table
from galaxyds.errors import ArchiveError, DataIntegrityError
from tests.servers.loopback import HTML_LINE, LoopbackServer
from tests.servers.votables import document, info, table_xml, tap_answer, tap_error

ROWS = {
    "count": [1, None, 3],
    "redshift": [0.5, None, 2.25],
    "double": [1e-300, 2.0, None],
    "name": ["a b", None, "<&>é"],
    "clean": [True, None, False],
    "pair": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
}


def written(serialization: str) -> bytes:
    """The rows as astropy writes them."""
    gone = [False, True, False]
    table = Table([
        MaskedColumn(np.array([1, -9, 3], np.int32), "count", mask=gone),
        MaskedColumn(np.array([0.5, 0, 2.25], np.float32), "redshift", mask=gone),
        MaskedColumn([1e-300, 2.0, np.nan], "double", mask=[False, False, True]),
        MaskedColumn(["a b", "", "<&>é"], "name"),
        MaskedColumn([True, False, False], "clean", mask=gone),
        MaskedColumn(ROWS["pair"], "pair"),
    ])  # fmt: skip
    out = io.BytesIO()
    tree = votable.from_table(table)
    for field in tree.get_first_table().fields:
        if field.datatype == "int":
            field.values.null = -9
    tree.to_xml(out, tabledata_format=serialization)
    return out.getvalue()


@pytest.mark.parametrize("serialization", ["tabledata", "binary", "binary2"])
@pytest.mark.filterwarnings("ignore:.*W39")
def test_cells_of_every_serialization(serialization):
    # astropy writes a missing boolean of BINARY as a false one, and warns.
    clean = [True, False, False] if serialization == "binary" else ROWS["clean"]
    found = read_table(written(serialization), source="T").to_pydict()
    assert found == {**ROWS, "clean": clean}


def test_types():
    table = read_table(written("binary2"), source="T")
    kinds = [pa.int32(), pa.float32(), pa.float64(), pa.string(), pa.bool_()]
    assert table.schema.types[:5] == kinds


def test_a_file(tmp_path):
    path = tmp_path / "x.vot"
    path.write_bytes(written("binary2"))
    assert read_table(path, source="T").num_rows == 3


def test_a_real_answer_of_vizier():
    folder = Path(pytest.importorskip("astroquery.vizier").__file__).parent / "tests" / "data"
    file = folder / "kang2010.xml"
    if not file.is_file():
        pytest.skip("this astroquery comes without its test files")
    ((name, table),) = read_document(file, source="VizieR").tables
    root = ET.fromstring(file.read_bytes())
    space = "{http://www.ivoa.net/xml/VOTable/v1.2}"
    cells = [[td.text for td in row] for row in root.iter(f"{space}TR")]
    assert (name, table.num_rows) == ("J/ApJ/706/83/ysos", len(cells))
    assert table["Seq"].to_pylist() == [int(row[0]) for row in cells]
    assert table["SSTGLMC"].to_pylist() == [row[2] for row in cells]
    assert table["AV"].cast(pa.float64()).to_pylist() == pytest.approx(
        [float(row[3]) for row in cells]
    )


class TestWhatAServiceSays:
    def test_an_error_in_its_words(self):
        with pytest.raises(ArchiveError, match="T refuses the query: no such column: zz"):
            read_table(tap_error("no such column: zz"), source="T")

    def test_an_answer_that_was_cut(self):
        table = pa.table({"a": [1, 2]})
        assert read_table(tap_answer(table), source="T").num_rows == 2
        with pytest.raises(ArchiveError, match="OVERFLOW, more rows match"):
            read_table(tap_answer(table, overflow=True), source="T")

    def test_where_an_info_stands(self):
        found = read_document(tap_answer(pa.table({"a": [1]}), overflow=True), source="T")
        assert [(one.value, one.after) for one in found.infos] == [
            ("OK", False),
            ("OVERFLOW", True),
        ]

    def test_errors_of_vizier_without_the_empty_ones(self):
        words = ["The database is not currently reachable.", " ", " -- "]
        body = document([info("Error", word) for word in words])
        with pytest.raises(
            ArchiveError, match=r"query: The database is not currently reachable\.$"
        ):
            read_table(body, source="T")

    def test_a_web_page(self):
        with pytest.raises(ArchiveError, match=r"web page instead of a table: .*maintenance"):
            read_table(HTML_LINE, source="T")

    def test_too_much(self):
        with pytest.raises(ArchiveError, match="more than 1000 bytes"):
            read_table(written("binary2"), source="T", limit=1000)

    @pytest.mark.parametrize("count", [0, 2])
    def test_other_than_one_table(self, count):
        body = document([table_xml(pa.table({"a": [1]}), str(n)) for n in range(count)])
        with pytest.raises(ArchiveError, match=f"answers with {count} tables"):
            read_table(body, source="T")

    def test_an_integer_that_is_none_is_no_null(self):
        body = tap_answer(pa.table({"a": [15]})).replace(b"<TD>15<", b"<TD>1,5<")
        with pytest.raises(DataIntegrityError, match="cannot be read"):
            read_table(body, source="T")

    def test_dashes_for_a_real_number_are_null(self):
        body = tap_answer(pa.table({"a": [1.5, 2.5]})).replace(b"<TD>1.5<", b"<TD>--<")
        assert read_table(body, source="T").to_pydict() == {"a": [None, 2.5]}


def binary(stream: str, field: str = 'datatype="int"') -> bytes:
    return document(
        [f'<TABLE><FIELD name="a" {field}/><DATA><BINARY>{stream}</BINARY></DATA></TABLE>']
    )


class Secrets(LoopbackServer):
    def handle(self, request):
        raise AssertionError("was fetched")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_data_elsewhere_are_never_fetched(scheme, encoding, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0\0\0\1")
    with Secrets() as server:
        target = f"{server.url}/secret" if scheme == "http" else secret.as_uri()
        text = binary(f'<STREAM href="{target}"/>').decode().replace("UTF-8", encoding)
        with pytest.raises(DataIntegrityError, match="keeps its data elsewhere"):
            read_table(text.encode(encoding), source="T")
        assert server.requests == []


STREAM = f"<STREAM encoding='base64'>{base64.b64encode(bytes(4)).decode()}</STREAM>"
HOSTILE = {
    "prefixed": binary('<v:STREAM xmlns:v="x" href="http://127.0.0.1:9/"/>'),
    "gzip": binary('<STREAM encoding="gzip">AAAA</STREAM>'),
    "wide": binary(STREAM, 'datatype="int" arraysize="99999999999"'),
    "wide too": binary(STREAM, 'datatype="int" arraysize="60000x60000"'),
    "rows": document(['<TABLE nrows="99999999999"><FIELD name="a" datatype="int"/></TABLE>']),
    "fits": document(["<TABLE><DATA><FITS><STREAM>AAAA</STREAM></FITS></DATA></TABLE>"]),
    "deep": document(["<RESOURCE>" * 100, "</RESOURCE>" * 100]),
    "names": document([table_xml(pa.table({"a": [1], "b": [2]})).replace('"b"', '"a"')]),
    "other": b"<?xml version='1.0'?><feed/>",
    "external": b'<!DOCTYPE VOTABLE [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    + document(["<INFO name='a' value=''>&e;</INFO>"]).partition(b"?>\n")[2],
    "laughs": b'<!DOCTYPE VOTABLE [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    + document(["<INFO name='a' value=''>&b;</INFO>"]).partition(b"?>\n")[2],
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_documents(case):
    with pytest.raises(DataIntegrityError) as caught:
        read_document(HOSTILE[case], source="T")
    assert str(caught.value).startswith("T: the VOTable ")
    assert "\n" not in str(caught.value)


def old(field: str, cells: list[str], version: str = "1.1", attributes: str = "") -> bytes:
    rows = "".join(f"<TR><TD>{cell}</TD></TR>" for cell in cells)
    return (
        f'<?xml version="1.0"?>\n<VOTABLE version="{version}" xmlns="x/v{version}"><RESOURCE>'
        f'<TABLE {attributes}><FIELD name="a" {field}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    ).encode()


class TestIntegers:
    @pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "v1.1", "1.3", "1.4"])
    @pytest.mark.parametrize("kind", ["unsignedByte", "short", "int", "long"])
    def test_an_empty_one_is_null(self, version, kind):
        body = old(f'datatype="{kind}"/>', ["7", "", "0"], version)
        assert read_table(body, source="T").to_pydict() == {"a": [7, None, 0]}

    def test_an_old_document_whose_version_cannot_be_amended(self):
        text = old('datatype="int"/>', ["7", ""]).decode()
        text = text.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-16"?>')
        with pytest.raises(DataIntegrityError, match=r"cannot be read: .*W49"):
            read_table(text.encode("utf-16"), source="T")

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("short", "70000"), ("unsignedByte", "256"), ("int", "-2147483649"), ("long", "9" * 19)],
    )
    def test_one_out_of_range_is_refused(self, kind, value):
        with pytest.raises(DataIntegrityError, match=f"cannot be read: .*Value '{value}'"):
            read_table(old(f'datatype="{kind}"/>', ["1", value]), source="T")

    def test_a_null_value_may_be_out_of_range(self):
        field = 'datatype="short"><VALUES null="-2147483648"/></FIELD>'
        body = old(field, ["1", "-2147483648", ""])
        assert read_table(body, source="T").to_pydict() == {"a": [1, None, None]}


WIDE = 'datatype="double" arraysize="65536"/>'


class TestMemory:
    @pytest.mark.parametrize(
        "body",
        [old(WIDE, [""] * 2000), old(WIDE, [""] * 40, attributes='nrows="250"'),
         old('datatype="double"/>' + f'<FIELD name="b" {WIDE}' * 99, [""]),
         old('datatype="char" arraysize="60000"/>', [""] * 2000)],
        ids=["rows", "nrows", "fields", "text"],
    )  # fmt: skip
    def test_a_small_document_takes_no_large_arrays(self, body):
        tracemalloc.start()
        try:
            with pytest.raises(DataIntegrityError, match="bytes declares arrays of"):
                read_document(body, source="T")
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()

    def test_tables_together(self):
        body = old('datatype="double" arraysize="8192"/>', [""] * 500)
        table = body[body.index(b"<TABLE") : body.index(b"</RESOURCE>")]
        assert read_document(body, source="T").tables[0][1].num_rows == 500
        with pytest.raises(DataIntegrityError, match="declares arrays of"):
            read_document(body.replace(table, table * 2), source="T")

    def test_memory_that_is_not_there(self, monkeypatch):
        def parse(*_, **__):
            raise MemoryError

        monkeypatch.setattr(votable, "parse", parse)
        with pytest.raises(DataIntegrityError, match="does not fit into memory"):
            read_document(old('datatype="int"/>', ["1"]), source="T")


def test_the_sound_stream_is_read():
    assert read_table(binary(STREAM), source="T").to_pydict() == {"a": [0]}


def test_no_beginning_of_a_document_is_a_document():
    whole = tap_answer(pa.table({"a": ["x", "y"]}))
    for size in range(1, len(whole.rstrip()), 13):
        with pytest.raises(DataIntegrityError, match="VOTable"):
            read_document(whole[:size], source="T")
        assert size < 100 or not ends_whole(whole[:size])
    assert ends_whole(whole)
