"""How published files are laid out: one entry per layout, for building from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.catalog import CutStep, divide
from galaxyds.errors import UsageError
from galaxyds.spec import Config, DatasetSpec
from galaxyds.store import galaxiesml, p19
from galaxyds.store.foreign import Difference
from galaxyds.store.p19.selection import Repeats

if TYPE_CHECKING:
    import pyarrow as pa

    from galaxyds.store.hdf5 import Blocks


@dataclass(frozen=True, kw_only=True, eq=False)
class Released:
    """Published files as one product.

    Attributes
    ----------
    table : pyarrow.Table
        Every stored column, in object-id order.
    blocks : callable
        Yields the pixels, in that order or with their rows.
    differences : tuple of Difference
        Where the files are not as declared.
    cut_flow : tuple of CutStep
        Cuts that were applied to them here.
    repeats : tuple of Repeats
        Rules for repeats that were applied to them here.
    """

    table: pa.Table
    blocks: Callable[[], Blocks]
    differences: tuple[Difference, ...]
    cut_flow: tuple[CutStep, ...] = ()
    repeats: tuple[Repeats, ...] = ()

    def told(self) -> Iterator[str]:
        """Say how the files differ from the declaration, equal differences in one line."""
        groups: dict[tuple[str, str], list[str]] = {}
        for one in self.differences:
            groups.setdefault((str(one.expected), str(one.got)), []).append(one.what)
        for (expected, got), what in groups.items():
            shown = ", ".join(what[:6]) + (f" and {len(what) - 6} more" if len(what) > 6 else "")
            yield f"{shown}: expected {expected}, the published files have {got}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a layout has to do for a build.

    Attributes
    ----------
    open : callable
        Declaration narrowed to a config, the config and a folder to a :class:`Released`, without
        those splits that are drawn here.
    check : callable
        Declaration narrowed to a config, a folder, and how files are brought beside those in it:
        raises what :attr:`open` would, before anything is written.
    companions : callable
        Name of a published file to names of files that may stand beside it.
    """

    open: Callable[[DatasetSpec, Config, Path], Released]
    check: Callable[[DatasetSpec, Path, str], None] = lambda spec, folder, bring: None
    companions: Callable[[str], Sequence[str]] = lambda name: ()


def layout_of(spec: DatasetSpec) -> Layout:
    """Return the layout of a dataset's published files.

    Raises
    ------
    UsageError
        If galaxyds does not read it.
    """
    assert spec.files is not None
    if spec.files.layout not in _LAYOUTS:
        raise UsageError(f"galaxyds does not read the layout '{spec.files.layout}'")
    return _LAYOUTS[spec.files.layout]


def open_released(spec: DatasetSpec, product: Config, folder: Path) -> Released:
    """Open published files as one product, with every split.

    Parameters
    ----------
    spec : DatasetSpec
        Narrowed to the product.
    product : Config
        Which cuts.
    folder : pathlib.Path
        Holds the files.

    Returns
    -------
    Released
        Splits that the authors published are theirs, all others are drawn.

    Raises
    ------
    DataIntegrityError
        If the files are refused.
    UsageError
        If no object is left.
    """
    assert spec.files is not None
    released = layout_of(spec).open(spec, product, folder)
    table = released.table
    if not table.num_rows:
        raise _nothing_left(released, spec, product)
    drawn = divide(table, spec.split, object_id=spec.object_id)
    for division, (column, codes) in enumerate(zip(spec.split.columns(), drawn, strict=True)):
        if not division and spec.files.splits:
            continue
        place = table.schema.get_field_index(column.name)
        if place >= 0:
            table = table.remove_column(place)
        table = table.append_column(column.name, [codes])
    return Released(
        table=table,
        blocks=released.blocks,
        differences=released.differences,
        cut_flow=released.cut_flow,
        repeats=released.repeats,
    )


def _nothing_left(released: Released, spec: DatasetSpec, product: Config) -> UsageError:
    emptied = next((s for s in released.cut_flow if s.before and not s.after), None)
    by = f": the cut {emptied.name} ({emptied.sql}) removes the last {emptied.before:,}" if (
        emptied
    ) else ""  # fmt: skip
    return UsageError(
        f"no object of the published files of {spec.name} is left after the cuts of "
        f"{product.name}{by}; are the labels in the units that the dataset declares?"
    )


def _open_galaxiesml(spec: DatasetSpec, product: Config, folder: Path) -> Released:
    """Three files, one per split; their authors have applied the cuts."""
    del product
    assert spec.files is not None
    columns = spec.stored_columns()
    published = galaxiesml.open_published(
        {split: folder / name for split, name in spec.files.files(spec.pixels.size).items()},
        columns,
        shape=spec.image_shape(),
        ranges={c.name: c.valid for c in columns if c.valid is not None},
        names=dict(spec.files.names),
        counts={ours: count for ours, _, count in spec.files.splits},
    )
    return Released(
        table=published.table, blocks=published.blocks, differences=published.differences
    )


def _archive(spec: DatasetSpec, folder: Path) -> Path:
    """The only file of a record without splits."""
    assert spec.files is not None
    (name,) = spec.files.files(spec.pixels.size).values()
    return folder / name


def _open_p19(spec: DatasetSpec, product: Config, folder: Path) -> Released:
    """One archive of all objects and more; the cuts are applied here."""
    assert spec.files is not None
    published = p19.open_published(
        _archive(spec, folder), spec, product, names=dict(spec.files.names)
    )
    return Released(
        table=published.table,
        blocks=published.blocks,
        differences=published.differences,
        cut_flow=published.cut_flow,
        repeats=published.repeats,
    )


def _check_p19(spec: DatasetSpec, folder: Path, bring: str) -> None:
    assert spec.files is not None
    names = dict(spec.files.names)
    p19.check_published(_archive(spec, folder), spec, names=names, bring=bring)


_LAYOUTS: dict[str, Layout] = {
    "galaxiesml": Layout(open=_open_galaxiesml),
    "p19": Layout(open=_open_p19, check=_check_p19, companions=p19.companions),
}
