"""``galaxyds bench plot``: the picture of a file of predictions."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer

from galaxyds.errors import UsageError
from galaxyds_cli import bench_plot
from galaxyds_models.evaluate import Predictions, write_predictions
from tests.cli.verb import output_of
from tests.small_build import SPEC, make_build

app = typer.Typer()
app.command()(bench_plot.plot)


@pytest.fixture
def tested(tmp_path, monkeypatch):
    monkeypatch.setattr("galaxyds_models.objects.get_spec", lambda name: SPEC)
    build = make_build(tmp_path / "home", 300, simulated=True)
    frame = pq.read_table(build / "catalog.parquet").to_pandas()
    return frame[frame["split_0"] == 2]


def test_a_picture_is_written_and_named(tmp_path, tested):
    z = tested["redshift"].to_numpy() + np.float32(0.1)
    write_predictions(
        tmp_path / "p.parquet", Predictions(object_id=tested["object_id"].to_numpy(), z=z)
    )
    picture = tmp_path / "z.png"
    said = output_of(app, tmp_path / "p.parquet", "tiny-sky", "--root", tmp_path / "home",
                     "-o", picture)  # fmt: skip
    assert said.splitlines()[-1] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_predictions_of_another_split_are_refused(tmp_path, tested):
    write_predictions(
        tmp_path / "p.parquet",
        Predictions(object_id=np.arange(9), z=np.ones(9, dtype=np.float32)),
    )
    with pytest.raises(UsageError, match="tiny-sky"):
        output_of(app, tmp_path / "p.parquet", "tiny-sky", "--root", tmp_path / "home",
                  "-o", tmp_path / "z.png")  # fmt: skip
    assert not (tmp_path / "z.png").exists()
