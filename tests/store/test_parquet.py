"""The catalogue on disk, and Parquet files that are broken or swell when decoded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyds.errors import DataIntegrityError
from galaxyds.store.parquet import read_batches, read_catalog, read_table, write_catalog
from tests.small_build import SPEC, table

BIG = 1 << 30


@pytest.fixture
def good(tmp_path):
    write_catalog(tmp_path / "catalog.parquet", table(500), spec=SPEC)
    return tmp_path / "catalog.parquet"


def test_missing_values_and_long_ids_survive(good):
    back, source = read_catalog(good, spec=SPEC, rows=500), table(500)
    assert back.column_names == [column.name for column in SPEC.stored_columns()]
    for name in back.column_names:
        assert back[name].to_pylist() == source[name].to_pylist()
    assert back["mag_g"].null_count == 100


def test_units_and_descriptions_stand_in_the_file(good):
    field = pq.read_schema(good).field("ra")
    assert field.metadata == {b"unit": b"deg", b"description": b"RA"}


def test_the_same_table_gives_the_same_bytes(good, tmp_path):
    chunked = pa.concat_tables([table(500).slice(0, 123), table(500).slice(123)])
    write_catalog(tmp_path / "b", chunked, spec=SPEC)
    assert (tmp_path / "b").read_bytes() == good.read_bytes()


def test_a_table_out_of_order_or_incomplete_is_not_written(tmp_path):
    turned = table(9).take(list(range(8, -1, -1)))
    for wrong in (turned, table(9).drop_columns(["ra"]), pa.concat_tables([table(9)] * 2)):
        with pytest.raises(DataIntegrityError):
            write_catalog(tmp_path / "x", wrong, spec=SPEC)


def test_a_value_that_does_not_fit_its_dtype_is_not_written(tmp_path):
    wide = table(3).set_column(2, "run", pa.array([1, 2, 1 << 40]))
    with pytest.raises(DataIntegrityError, match="does not fit its dtype"):
        write_catalog(tmp_path / "x", wide, spec=SPEC)


def test_flipped_bits_in_pages_are_noticed(good):
    whole = good.read_bytes()
    metadata = pq.read_metadata(good)
    noticed, silent = 0, 0
    for column in range(metadata.num_columns):
        chunk = metadata.row_group(0).column(column)
        broken = bytearray(whole)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        broken[start + chunk.total_compressed_size - 2] ^= 4
        good.write_bytes(broken)
        with pytest.raises(DataIntegrityError):
            read_catalog(good, spec=SPEC, rows=500)
        noticed += 1
        try:
            pq.read_table(good)
            silent += 1
        except OSError:
            pass
    assert noticed == len(SPEC.stored_columns())
    assert silent > 0  # without page checksums some of these pass


def test_another_number_of_rows_is_refused(good):
    with pytest.raises(DataIntegrityError, match="500 rows, not 499"):
        read_catalog(good, spec=SPEC, rows=499)


def test_a_column_that_is_not_there_is_named(good):
    with pytest.raises(DataIntegrityError, match="no column absent"):
        read_table(good, columns=["absent"], limit=BIG)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_cut_file_is_refused(good, kept):
    good.write_bytes(good.read_bytes()[:kept])
    with pytest.raises(DataIntegrityError):
        list(read_batches(good, limit=BIG))


def _runs(path):
    pq.write_table(pa.table({"a": np.zeros(1 << 27, np.float64)}), path, row_group_size=1 << 27)


def _nulls(path):
    pq.write_table(pa.table({"a": pa.nulls(1 << 27, pa.float64())}), path, row_group_size=1 << 27)


def _texts(path):
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1 << 15, np.int32)), ["x" * (1 << 16)])
    pq.write_table(pa.table({"a": text}), path, store_schema=False)


def _lists(path):
    values = pa.array(np.zeros(1 << 27, np.float32))
    nested = pa.ListArray.from_arrays(pa.array([0, 1 << 27], pa.int32()), values)
    pq.write_table(pa.table({"a": nested}), path)


@pytest.mark.parametrize("bomb", [_runs, _nulls, _texts, _lists])
def test_bombs_are_refused_before_they_swell(tmp_path, bomb):
    path = tmp_path / "bomb.parquet"
    bomb(path)
    assert path.stat().st_size < 600_000
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from galaxyds.errors import DataIntegrityError\n"
        "from galaxyds.store.parquet import read_table\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_table(Path(sys.argv[1]), limit=100_000_000)\n"
        "except DataIntegrityError: pass\n"
        "else: sys.exit('accepted')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 << 10  # KiB above what importing took
