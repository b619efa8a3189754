"""Modalities: the subsets of bands that are processed in parallel (paper 003, Sect. 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from galaxyds.errors import UsageError

Modality = tuple[str, ...]


def modalities(
    bands: Sequence[str],
    size: int | None = 2,
    *,
    orders: Sequence[int] = (1,),
    singles: bool = False,
    together: bool = False,
) -> tuple[Modality, ...]:
    """List the modalities of a set of bands (paper 003, Table C.2).

    Parameters
    ----------
    bands : sequence of str
        In ascending order of wavelength.
    size : int or None
        Bands per modality; None is one modality of all bands, the paper's baseline.
    orders : sequence of int
        1 takes adjacent bands, 2 every second one, 3 every third one.
    singles : bool
        Add a modality of each band alone (Sect. 7.4).
    together : bool
        Add one of all bands (Sect. 7.3).

    Returns
    -------
    tuple of tuple of str
        In the order above, each once.

    Raises
    ------
    UsageError
        If the bands are too few for any modality of that size and those orders.
    """
    found = [tuple(bands)] if size is None else _runs(bands, size, orders)
    if not found:
        raise UsageError(
            f"no modality of {size} bands and order {', '.join(map(str, orders))} in "
            f"{', '.join(bands) or 'no bands'}: choose a smaller size or order",
            size=size,
        )
    found += [(band,) for band in bands] if singles else []
    found += [tuple(bands)] if together else []
    return tuple(dict.fromkeys(found))


def name_of(modality: Modality) -> str:
    """Name of a modality as the paper writes it: ``u_g``."""
    return "_".join(modality)


def positions(chosen: Sequence[Modality], bands: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Channels of each modality in an image with these bands."""
    where = {band: index for index, band in enumerate(bands)}
    return tuple(tuple(where[band] for band in modality) for modality in chosen)


def by_size(chosen: Sequence[Modality]) -> tuple[tuple[Modality, ...], ...]:
    """Collect modalities of equal size, sizes in the order in which they first come."""
    sizes = dict.fromkeys(len(modality) for modality in chosen)
    return tuple(tuple(m for m in chosen if len(m) == size) for size in sizes)


def _runs(bands: Sequence[str], size: int, orders: Sequence[int]) -> list[Modality]:
    return [
        tuple(bands[start + step * k] for k in range(size))
        for step in orders
        for start in range(len(bands) - step * (size - 1))
    ]
