"""Where the sky that HSC looks at departs from nature, in sentences that a card can quote."""

from __future__ import annotations

_DEPARTURES = """
The footprint is 2.4 square degrees on the equator in four tracts, of which two rows of patches are
observed; spectroscopic redshifts are about ten times as dense as in the survey, so that a small
build needs few patches.

Redshifts come from five invented surveys (bright, colour-selected, prism, deep, quasars) with
invented names, completeness, failures and sentinels; their shares are plausible and no more, and
redshifts peak at 0.6.

The catalogue holds sources with i brighter than 24.0 and SDSS r brighter than 24.5, so the reddest
faint ones lack; images hold sources down to r = 26.5.

Every source is detected and deblended: magnitudes are the true totals plus noise, without the light
of neighbours and without faint false detections; a few carry 99.9 in place of NaN.

Flags are drawn at random, except at the edges of patches, for saturated stars and for fluxes below
the noise; nothing is to be seen at such a place in the image, and the shares are invented.

Galaxies are a de Vaucouleurs bulge and an exponential disk of five types, below redshift 3: no
arms, bars, knots, tails or mergers; galaxies, stars and quasars are placed independently.

Quasars are about 50 times as dense as in nature, and points without host galaxies.

The PSF is a round Moffat profile (exponent 2.5), one per patch and band, of the patch in which the
middle of a cutout lies: two overlapping cutouts from neighbouring patches show one source with two
widths; it does not depend on the colour of the source.

Noise is normal with the depth of the Wide layer and the variance of the photons; neighbouring
pixels correlate by 0.1 in every direction and no further; a pixel has the same noise in every
cutout of its tract, and another one in the next tract.

The sky is subtracted perfectly: no residual background, no halo around bright stars, no scattered
light, no cosmic rays, bleeding or satellites; stars do not saturate, and none is brighter than
r = 13.

Light of a source fainter than 0.005 counts per pixel is folded back into a square around it, so
that its sum is right and its outermost wings are not.

Bands that lack data, one object in 700 each and all five for one in 1000, lack in squares of 16
arcsec at random; cutouts at the rim of the footprint and of a tract are whole.

Images and catalogue share one calibration without errors, and nothing moves on the sky.
"""


def departures() -> tuple[str, ...]:
    """Return what a user must know before drawing conclusions from simulated HSC cutouts.

    Returns
    -------
    tuple of str
        One sentence or a few each.
    """
    return tuple(" ".join(part.split()) for part in _DEPARTURES.strip().split("\n\n"))
