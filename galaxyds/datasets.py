"""The datasets by name, as torch datasets: ``from galaxyds.datasets import SDSSQuasar``.

Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any, ClassVar

from galaxyds.errors import UsageError
from galaxyds.loaders import GalaxyDataset
from galaxyds.refs import DatasetRef
from galaxyds.specs import get_spec

__all__ = ["DATASETS", "HSCGalaxiesML", "SDSSQuasar", "open_dataset"]


class SDSSQuasar(GalaxyDataset):
    """SDSS DR17 quasars, u, g, r, i, z cutouts of 64 x 64 pixels (``sdss-qso``).

    See :class:`galaxyds.loaders.GalaxyDataset` for parameters and samples.
    """

    name: ClassVar[str] = "sdss-qso"


class HSCGalaxiesML(GalaxyDataset):
    """HSC PDR2 galaxies of GalaxiesML, g, r, i, z, y cutouts (``hsc-galaxiesml``).

    Config ``127`` (default) has 127 x 127 pixels, ``64`` their middle 64 x 64; division 0 has the
    shares of the published files, division 1 those of the text.  See
    :class:`galaxyds.loaders.GalaxyDataset` for parameters and samples.
    """

    name: ClassVar[str] = "hsc-galaxiesml"


DATASETS: dict[str, type[GalaxyDataset]] = {kind.name: kind for kind in (SDSSQuasar, HSCGalaxiesML)}
"""Dataset classes by kebab-case name."""


def open_dataset(address: str, split: str, **options: Any) -> GalaxyDataset:
    """Open a built dataset by its address.

    Parameters
    ----------
    address : str
        ``name[/config][:version]``, for example ``sdss-qso/extended:1.0.0``.
    split : str
        ``train``, ``validation``, ``test`` or ``all``.
    **options
        Of :class:`galaxyds.loaders.GalaxyDataset`, except ``config`` and ``version``, which stand
        in the address.

    Returns
    -------
    GalaxyDataset
        Of the dataset's own class.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset, or it is not built.
    UsageError
        If the address is none, or repeated in the options.
    """
    ref = DatasetRef.parse(address)
    if repeated := {"config", "version"} & options.keys():
        raise UsageError(
            f"{', '.join(sorted(repeated))} belongs into the address: write "
            f"{ref.name}/CONFIG:VERSION instead"
        )
    kind = DATASETS[get_spec(ref.name).name]
    return kind(split, config=ref.config, version=ref.version, **options)
