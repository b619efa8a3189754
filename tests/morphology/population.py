"""Simulated HSC-like cutouts: one galaxy in the middle, a few neighbours, noise."""

from __future__ import annotations

import numpy as np

SIZE, SCALE, ZERO_POINT, SIGMA = 127, 0.168, 27.0, 0.05


def cutout(seed: int, *, size: int = SIZE) -> np.ndarray:
    """Galaxy of mag 18-22.5, n 0.5-6, half-light radius 0.35-1.8 arcsec, about three neighbours.

    Returns
    -------
    numpy.ndarray
        float32 (size, size): Sersic profiles through a Moffat PSF of 0.7 arcsec, plus noise of
        standard deviation 0.05, at zero point 27.
    """
    import galsim

    rng = np.random.default_rng([2024, seed])
    psf = galsim.Moffat(beta=3.0, fwhm=0.7)
    image = galsim.ImageF(size, size, scale=SCALE)
    _add(image, psf, rng, offset=rng.uniform(-0.5, 0.5, 2), magnitude=rng.uniform(18, 22.5))
    for _ in range(rng.poisson(3)):
        offset = rng.uniform(-size / 2 + 3, size / 2 - 3, 2)
        _add(image, psf, rng, offset=offset, magnitude=rng.uniform(19.5, 24.5))
    noise = rng.normal(0, SIGMA, (size, size))
    return (image.array + noise).astype(np.float32)


def _add(image, psf, rng, *, offset, magnitude) -> None:
    import galsim

    profile = galsim.Sersic(
        n=round(rng.uniform(0.5, 6), 1),
        half_light_radius=np.exp(rng.uniform(np.log(0.35), np.log(1.8))),
        flux=10 ** (0.4 * (ZERO_POINT - magnitude)),
        gsparams=galsim.GSParams(maximum_fft_size=20000, folding_threshold=1e-2),
    ).shear(q=rng.uniform(0.3, 1.0), beta=rng.uniform(0, np.pi) * galsim.radians)
    both = galsim.Convolve(profile, psf)
    stamp = both.drawImage(nx=101, ny=101, scale=SCALE, offset=offset % 1.0)
    centre = image.true_center
    stamp.setCenter(int(centre.x + np.floor(offset[0])), int(centre.y + np.floor(offset[1])))
    overlap = stamp.bounds & image.bounds
    image[overlap] += stamp[overlap]
