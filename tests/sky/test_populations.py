"""Quasars, galaxies, stars and dust against published numbers and real tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special

from galaxyds.sky import SDSS, galaxies, quasars, stars
from galaxyds.sky.dust import reddening
from galaxyds.sky.hashing import keyed

KEYS = keyed(9, np.arange(20_000))


@pytest.mark.parametrize(
    ("center", "width"), [(1546.15, 23.78), (2800.26, 32.28), (6564.93, 194.52)]
)
def test_lines_have_their_published_equivalent_widths(center, width, monkeypatch):
    monkeypatch.setattr(quasars, "BLENDS", ())
    rest = np.linspace(center - 250, center + 250, 20_001)
    others = [line for line in quasars.LINES if line[0] != center]
    everything = integrate.trapezoid(quasars.emission(rest), rest)
    monkeypatch.setattr(quasars, "LINES", tuple(others))
    assert everything - integrate.trapezoid(quasars.emission(rest), rest) == pytest.approx(
        width, rel=1e-3
    )


def test_the_quasar_continuum_has_its_exponents():
    rest = np.array([1500.0, 4000.0])
    flux = quasars.continuum(rest, np.array(-0.44))
    slope = np.log(flux[1] / flux[0]) / np.log(rest[1] / rest[0])
    assert slope == pytest.approx(-1.56)  # f_lambda exponent of f_nu ~ nu^-0.44


def test_quasars_drop_out_of_u_where_the_lyman_limit_passes():
    drawn = quasars.draw(KEYS)
    color = np.diff(-quasars.magnitudes(drawn, SDSS), axis=1)
    low = np.median(color[(drawn.redshift > 1.8) & (drawn.redshift < 2.2), 0])
    high = np.median(color[(drawn.redshift > 3.2) & (drawn.redshift < 3.6), 0])
    assert high > low + 2


def test_interpolated_quasar_magnitudes_match_direct_photometry():
    from galaxyds.sky.seds import ab_magnitude, forest

    z, slope = np.array([2.345]), -0.31
    quasar = quasars.Quasars(
        redshift=z, magnitude=np.array([19.0]), slope=np.array([slope]), lines=np.array([1.2]),
        absorption=np.zeros(1), reddening=np.zeros(1),
    )  # fmt: skip
    direct = []
    for band in SDSS.bands:
        wave = band.curve.grid(4000)
        rest = wave / (1 + z[:, None])
        flux = quasars.continuum(rest, np.array(slope)) * (1 + 1.2 * quasars.emission(rest))
        direct.append(ab_magnitude(wave, flux * forest(wave, z), band.curve)[0])
    expected = np.array(direct) - direct[3] + 19.0
    assert quasars.magnitudes(quasar, SDSS)[0] == pytest.approx(expected, abs=0.02)


def test_schechter_function_holds_its_luminosity():
    # int phi(L) L dL = phi* L* Gamma(alpha + 2) (Schechter 1976).
    magnitude = np.linspace(-27, -8, 4001)
    density = galaxies.schechter(magnitude, np.array(-21.0), -1.1)
    light = integrate.trapezoid(density * 10 ** (-0.4 * (magnitude + 21)), magnitude)
    assert light == pytest.approx(special.gamma(0.9), rel=2e-3)


def test_galaxy_types_span_the_published_colours_of_nearby_galaxies():
    # Fukugita, Shimasaku & Ichikawa 1995, table 3a: g' - r' is 0.77 for E and 0.2 to 0.4 for Im.
    colors = []
    for number, kind in enumerate(galaxies.TYPES):
        numbers = {"redshift": 0.006, "magnitude": 15.0, "bulge": kind.bulge, "tilt": 0.0}
        shape = dict.fromkeys(
            ("bulge_radius", "disk_radius", "axis_ratio", "bulge_ratio", "angle"), np.ones(1)
        )
        values = {name: np.array([value]) for name, value in numbers.items()}
        one = galaxies.Galaxies(kind=np.array([number]), **values, **shape)
        m = galaxies.magnitudes(one, SDSS)[0][0]
        colors.append((m[0] - m[1], m[1] - m[2]))
    ug, gr = np.array(colors).T
    assert len(galaxies.TYPES) >= 4
    assert gr[0] == pytest.approx(0.77, abs=0.08)
    assert 0.1 < gr[-1] < 0.4
    assert (np.diff(gr) < 0.01).all()
    assert ug[0] == pytest.approx(1.8, abs=0.2)


def test_bulges_are_redder_than_disks():
    drawn = galaxies.draw(KEYS, 18.0, 20.0)
    share = galaxies.magnitudes(drawn, SDSS)[1]
    spiral = drawn.kind == 2
    assert (share[spiral, 4] > share[spiral, 1]).all()


def test_galaxies_shrink_on_the_sky_and_in_kiloparsec_with_redshift():
    drawn = galaxies.draw(KEYS, 19.0, 21.5)
    spiral = drawn.kind == 2
    near, far = spiral & (drawn.redshift < 0.2), spiral & (drawn.redshift > 0.4)
    assert np.median(drawn.disk_radius[far]) < 0.8 * np.median(drawn.disk_radius[near])


def test_dust_is_smooth_and_coefficients_are_those_of_2011():
    ra = np.linspace(30, 31, 201)
    ebv = reddening(ra, np.zeros_like(ra), seed=1)
    assert (ebv > 0).all()
    assert np.abs(np.diff(ebv)).max() < 0.02 * ebv.mean()
    found = [band.extinction for band in SDSS.bands]
    assert found == [4.239, 3.303, 2.285, 1.698, 1.263]


def test_stars_follow_the_locus_of_a_real_field(survey_data):
    """Independent of the table behind the locus: point sources of field 94-1-12, dereddened."""
    fits = pytest.importorskip("astropy.io.fits")
    with fits.open(survey_data / "sdss_field_94-1-12" / "photoObj-000094-1-0012.fits") as hdus:
        table = hdus[1].data
        r = table["PSFMAG"][:, 2]
        good = (table["NCHILD"] == 0) & (table["OBJC_TYPE"] == 6) & (r > 15) & (r < 19.5)
        real = (table["PSFMAG"] - table["EXTINCTION"])[good]
    drawn = stars.draw(KEYS, 15.0, 19.5)
    ours = stars.magnitudes(drawn, SDSS, KEYS) + [band.ab_offset for band in SDSS.bands]
    real_color, our_color = -np.diff(real, axis=1), -np.diff(ours, axis=1)
    for low, high in ((0.2, 0.5), (0.5, 0.9), (1.2, 1.6)):
        for color, tolerance in ((2, 0.06), (3, 0.06)):
            there = real_color[(real_color[:, 1] > low) & (real_color[:, 1] < high), color]
            here = our_color[(our_color[:, 1] > low) & (our_color[:, 1] < high), color]
            error = 1.25 * there.std() / np.sqrt(there.size)
            assert np.median(here) == pytest.approx(np.median(there), abs=tolerance + 2 * error)


def test_quasar_colours_follow_real_quasars(survey_data, detections, photo):
    """Medians in redshift bins; stated tolerance 0.15 mag for g-r, r-i, i-z and 0.2 for u-g."""
    pandas = pytest.importorskip("pandas")
    path = survey_data / "sdss_tables" / "sdss_dr17_star_classification_first20000.csv"
    rows = pandas.read_csv(path)
    rows = rows[(rows["class"] == "QSO") & (rows["u"] > 0)]
    real, real_z = rows[list("ugriz")].to_numpy(float), rows["redshift"].to_numpy(float)
    source = detections.sources
    mine = (source.kind == 2) & (source.magnitude[:, 2] < 22.4)
    ours = np.stack([photo.column(f"modelMag_{b}").to_numpy()[mine] for b in "ugriz"], axis=1)
    z = source.redshift[mine]
    for low, high in ((1.0, 1.4), (1.4, 1.8), (1.8, 2.2), (2.2, 2.6), (2.6, 3.0)):
        there = np.median(-np.diff(real[(real_z >= low) & (real_z < high)], axis=1), axis=0)
        here = np.median(-np.diff(ours[(z >= low) & (z < high)], axis=1), axis=0)
        assert (np.abs(here - there) < [0.2, 0.15, 0.15, 0.15]).all()
