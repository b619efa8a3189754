"""The datasets by name, as torch datasets: ``from galaxyds.datasets import SDSSQuasar``.

A dataset that another package brings has a class here too, made of its declaration: ``demo-set`` is
``DemoSet``.  Importing this module imports torch.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from galaxyds.errors import UsageError
from galaxyds.loaders import GalaxyDataset
from galaxyds.refs import DatasetRef, to_kebab
from galaxyds.specs import OWN, get_spec, spec_names

__all__ = [
    "DATASETS",
    "CFHTLSWide",
    "HSCDeep",
    "HSCGalaxiesML",
    "SDSSMainGalaxies",
    "SDSSQuasar",
    "dataset_class",
    "open_dataset",
]


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


class SDSSMainGalaxies(GalaxyDataset):
    """SDSS Main Galaxy Sample, u, g, r, i, z stacks of 64 x 64 pixels with E(B-V) (``sdss-mgs``).

    ``fold=0`` to ``fold=4`` choose the fold that is tested.  See
    :class:`galaxyds.loaders.GalaxyDataset` for parameters and samples.
    """

    name: ClassVar[str] = "sdss-mgs"


class CFHTLSWide(GalaxyDataset):
    """CFHTLS Wide galaxies, u, g, r, i, z cutouts of 64 x 64 pixels with E(B-V) (``cfhtls-wide``).

    ``fold=0`` to ``fold=4`` choose the fold that is tested.  See
    :class:`galaxyds.loaders.GalaxyDataset` for parameters and samples.
    """

    name: ClassVar[str] = "cfhtls-wide"


class HSCDeep(GalaxyDataset):
    """HSC-Deep galaxies with CLAUDS u and near infrared, 64 x 64 pixels (``hsc-deep``).

    Config ``6band`` (default) has u, g, r, i, z, y; ``9band`` also J, H, Ks, which an object may
    lack: a sample's ``band_mask`` says which are measured.  ``fold=0`` to ``fold=4`` choose the
    fold that is tested; ``test_3dhst``, ``test_primus`` and ``test_cosmos2020`` are further splits.
    See :class:`galaxyds.loaders.GalaxyDataset` for parameters and samples.
    """

    name: ClassVar[str] = "hsc-deep"


DATASETS: dict[str, type[GalaxyDataset]] = {
    kind.name: kind for kind in (SDSSQuasar, HSCGalaxiesML, SDSSMainGalaxies, CFHTLSWide, HSCDeep)
}
"""Classes of galaxyds' own datasets by kebab-case name."""


def dataset_class(name: str) -> type[GalaxyDataset]:
    """Return the class of a dataset.

    Parameters
    ----------
    name : str
        ``sdss-qso`` or ``sdss_qso``.

    Returns
    -------
    type
        Its own class; for a dataset of another package one that is made of its declaration, always
        the same in a process.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    """
    known = to_kebab(name)
    return DATASETS[known] if known in DATASETS else _made(get_spec(name).name)


@functools.cache
def _made(name: str) -> type[GalaxyDataset]:
    title = get_spec(name).title
    about = f"{title} (``{name}``).\n\nSee :class:`galaxyds.loaders.GalaxyDataset`."
    attributes = {"name": name, "__doc__": about, "__module__": __name__}
    return type(_class_name(name), (GalaxyDataset,), attributes)


def _class_name(name: str) -> str:
    """``demo-set`` to ``DemoSet``, unless something else is called that here."""
    title = "".join(part.capitalize() for part in name.split("-"))
    return f"{title}Dataset" if title in globals() else title


def __getattr__(attribute: str) -> type[GalaxyDataset]:
    """Find the class of a dataset of another package, for imports and for unpickling."""
    if not attribute.startswith("_"):
        for name in spec_names():
            if name not in OWN and _class_name(name) == attribute:
                return _made(name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


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
    return dataset_class(ref.name)(split, config=ref.config, version=ref.version, **options)
