"""Small skies that several tests look at."""

from __future__ import annotations

import pytest

from galaxyds.sky import Footprint, Run, Universe

TILE = (9001, 3, 12)


@pytest.fixture(scope="session")
def universe() -> Universe:
    return Universe()


@pytest.fixture(scope="session")
def footprint() -> Footprint:
    """Two interleaved runs of one camera column: 16 fields."""
    return Footprint(
        runs=(
            Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=18),
            Run(number=9002, ra=30.05, dec=-1.0513, first=11, last=18),
        ),
        camcols=(3,),
    )


@pytest.fixture(scope="session")
def detections(universe, footprint):
    from galaxyds.sky.detections import detect

    return detect(universe, footprint)


@pytest.fixture(scope="session")
def photo(detections):
    from galaxyds.sky import photometry

    return photometry.table(detections)


@pytest.fixture(scope="session")
def spec(detections, photo):
    from galaxyds.sky import photometry, spectroscopy

    ids = photo.column("objID").to_numpy()
    return photometry.to_arrow(spectroscopy.columns(detections, ids)[0])


@pytest.fixture(scope="session")
def frame_folder(universe, footprint, tmp_path_factory):
    """Frames g and r of TILE and r of the field after it."""
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    from galaxyds.sky.frames import write_frames

    folder = tmp_path_factory.mktemp("frames")
    write_frames(universe, footprint, TILE, bands="gr", directory=folder)
    after = (TILE[0], TILE[1], TILE[2] + 1)
    write_frames(universe, footprint, after, bands="r", directory=folder)
    return folder
