"""The map: against matplotlib's projection, and of a size that does not grow."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.projections.geo import AitoffAxes

from galaxyds.report.sky import CENTER, aitoff, close_ups, sky_map


def everywhere(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))


def test_the_projection_is_aitoffs():
    ra, dec = everywhere(500)
    longitude = np.radians((CENTER - ra + 180) % 360 - 180)
    theirs = AitoffAxes.AitoffTransform(1).transform(np.stack([longitude, np.radians(dec)], 1))
    # Theirs leaves the factor of two between the axes to the aspect of the picture.
    np.testing.assert_allclose(np.stack(aitoff(ra, dec), 1), theirs * (2, 1), atol=1e-9)
    assert aitoff(np.array([CENTER]), np.array([0.0])) == (pytest.approx(0), pytest.approx(0))
    assert aitoff(np.array([200.0]), np.array([0.0]))[0] < 0  # east is left


def cells(svg):
    """Middles of the drawn cells' rectangles."""
    paths = "".join(re.findall(r'class="cell[^"]*" d="([^"]*)"', svg))
    found = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", paths)
    return [(float(x) + float(w) / 2, float(y) + float(h) / 2) for x, y, w, h in found]


def test_an_object_is_drawn_where_it_is():
    # The middle of the map is 6 pixels of margin and pi times 112 from the left.
    ((x, y),) = cells(sky_map(np.array([180.0]), np.array([0.0])))
    assert x == pytest.approx(6 + np.pi * 112, abs=2)
    assert y == pytest.approx(6 + np.pi * 56, abs=2)
    ((x, _),) = cells(sky_map(np.array([270.0]), np.array([0.0])))
    assert x == pytest.approx(6 + np.pi * 56, abs=2)


def test_the_map_of_half_a_million_objects_is_small():
    ra, dec = everywhere(500_000)
    text = sky_map(ra, dec)
    assert len(text) < 1_000_000
    assert len(cells(text)) > 1000


def test_fields_are_found_across_the_zero_of_right_ascension():
    rng = np.random.default_rng(1)
    ra = np.concatenate([rng.uniform(-1, 1, 300) % 360, rng.uniform(149, 151, 100)])
    dec = np.concatenate([rng.uniform(-1, 1, 300), rng.uniform(1, 3, 100)])
    fields, total = close_ups(ra, dec)
    assert total == 2
    assert [re.search(r": ([\d,]+) objects", f.caption).group(1) for f in fields] == ["300", "100"]
    middle = float(re.search(r"RA ([\d.]+)°", fields[0].caption).group(1))
    assert min(middle, 360 - middle) < 0.1


def test_a_survey_of_the_whole_sky_has_no_close_up():
    fields, total = close_ups(*everywhere(100_000))
    assert (fields, total) == ([], 1)
    assert close_ups(np.empty(0), np.empty(0)) == ([], 0)


def test_large_fields_are_thinned_and_say_so():
    rng = np.random.default_rng(2)
    fields, _ = close_ups(rng.uniform(10, 12, 9000), rng.uniform(-1, 1, 9000))
    assert "one in 5 drawn" in fields[0].caption
    assert fields[0].figure.count("h0") <= 2000
