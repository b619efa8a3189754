"""objIDs: known identifiers, and the columns of a real table."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.archives.sdss_ids import pack_objid, unpack_objid
from galaxyds.errors import UsageError
from tests.servers.fixtures import FIELD


def test_a_known_objid():
    # Row 1 of a recorded cross-match: run 1904, rerun 301, camcol 3, field 163.
    assert unpack_objid(1237653651835781245) == (2, 301, 1904, 3, 163, 125)
    assert pack_objid(1904, 3, 163, 125) == 1237653651835781245


def test_the_objects_of_a_real_field(survey_data):
    from astropy.io import fits

    data = fits.getdata(survey_data / FIELD / "photoObj-000094-1-0012.fits", 1)
    objid = np.array([int(text) for text in data["OBJID"]])
    parts = unpack_objid(objid)
    for name, column in (("run", "RUN"), ("camcol", "CAMCOL"), ("field", "FIELD"), ("id", "ID"),
                         ("sky_version", "SKYVERSION")):  # fmt: skip
        np.testing.assert_array_equal(getattr(parts, name), data[column])
    assert set(parts.rerun) == {301}
    np.testing.assert_array_equal(
        pack_objid(data["RUN"], data["CAMCOL"], data["FIELD"], data["ID"]), objid
    )


def test_recorded_cross_matches(survey_data):
    text = (survey_data / "protocol/astroquery_sdss/xid_im.txt").read_text().splitlines()
    rows = np.array([[int(x) for x in line.split(",")[2:]] for line in text[2:]])
    parts = unpack_objid(rows[:, 0])
    np.testing.assert_array_equal(np.stack([parts.run, parts.rerun, parts.camcol, parts.field]).T,
                                  rows[:, 1:])  # fmt: skip


def test_what_cannot_be():
    with pytest.raises(UsageError, match="must be integers, not float64: they may be rounded"):
        unpack_objid([1.237653651835781e18])
    with pytest.raises(UsageError, match=r"camcol of an objID must be in 0\.\.7"):
        pack_objid(94, 8, 12, 1)
    with pytest.raises(UsageError, match="run of an objID"):
        pack_objid([94, -1], 1, 12, 1)
