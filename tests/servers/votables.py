"""VOTable documents as the archives write them: TABLEDATA, INFO elements before and after."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.3" '
    'xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
)
TYPES = {
    "bool": 'datatype="boolean"', "int16": 'datatype="short"', "int32": 'datatype="int"',
    "int64": 'datatype="long"', "float": 'datatype="float"', "double": 'datatype="double"',
    "string": 'datatype="char" arraysize="*"', "uint8": 'datatype="unsignedByte"',
}  # fmt: skip
OTHER = {"int8": "short", "uint16": "int", "uint32": "long", "uint64": "long"}


def info(name: str, value: str, text: str = "") -> str:
    return f"<INFO name={quoteattr(name)} value={quoteattr(value)}>{escape(text)}</INFO>\n"


def field(name: str, kind: pa.DataType) -> str:
    told = TYPES.get(str(kind)) or f'datatype="{OTHER.get(str(kind), "char")}"'
    null = '<VALUES null="-2147483648"/>' if pa.types.is_integer(kind) else ""
    return f"<FIELD name={quoteattr(name)} {told}>{null}</FIELD>\n"


def cell(value: object) -> str:
    if value is None:
        return "<TD></TD>"
    if isinstance(value, bool):
        return f"<TD>{'T' if value else 'F'}</TD>"
    return f"<TD>{escape(str(value))}</TD>"


def table_xml(table: pa.Table, name: str = "result") -> str:
    fields = "".join(field(one.name, one.type) for one in table.schema)
    columns = [column.to_pylist() for column in table.columns]
    rows = "".join(f"<TR>{''.join(map(cell, row))}</TR>\n" for row in zip(*columns, strict=True))
    data = f"<DATA><TABLEDATA>\n{rows}</TABLEDATA></DATA>\n"
    return f"<TABLE name={quoteattr(name)}>\n{fields}{data}</TABLE>\n"


def document(parts: Sequence[str]) -> bytes:
    body = "".join(parts)
    return f'{HEAD}<RESOURCE type="results">\n{body}</RESOURCE>\n</VOTABLE>\n'.encode()


def tap_answer(table: pa.Table, *, overflow: bool = False) -> bytes:
    """Rows, and where some were left out a second QUERY_STATUS behind them."""
    parts = [info("QUERY_STATUS", "OK"), table_xml(table)]
    return document([*parts, info("QUERY_STATUS", "OVERFLOW")] if overflow else parts)


def tap_error(words: str) -> bytes:
    return document([info("QUERY_STATUS", "ERROR", words)])
