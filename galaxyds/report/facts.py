"""What the page says of a build: tables out of its declaration, its manifest and its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.report import balance
from galaxyds.report.sheets import bands_with_data
from galaxyds.shown import count, gigabytes, share, value
from galaxyds.spec import BAND_MASK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec
    from galaxyds.store import CutRow, Manifest

MOST = 200
"""Rows of a table that are shown."""

Columns = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as text, and how they are shown.

    Attributes
    ----------
    head : tuple of str
        Names of the columns.
    rows : list of tuple of str
        Cells.
    right, code : frozenset of int
        Columns of numbers, and columns that are shown as code.
    more : int
        Rows that are not shown.
    """

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    right: frozenset[int] = field(default=frozenset())
    code: frozenset[int] = field(default=frozenset())
    more: int = 0


def table(
    head: Sequence[str],
    rows: Iterable[tuple[str, ...]],
    *,
    right: Iterable[int] = (),
    code: Iterable[int] = (),
) -> Table:
    """Make a table of at most :data:`MOST` rows."""
    every = list(rows)
    return Table(
        head=tuple(head),
        rows=every[:MOST],
        right=frozenset(right),
        code=frozenset(code),
        more=max(0, len(every) - MOST),
    )


def key_figures(spec: DatasetSpec, manifest: Manifest) -> list[tuple[str, str]]:
    """Pairs of a term and what the build has."""
    bands, rows, columns = manifest.shape
    total = sum(file.bytes for file in manifest.files.values())
    archive = manifest.archive
    kind = " (simulated)" if archive.simulated and archive.name != "simulated" else ""
    return [
        ("Objects", count(manifest.rows)),
        ("Bands", f"{bands}: {', '.join(spec.band_names())}"),
        ("Cutout", f"{rows} × {columns} pixels of {spec.pixels.scale:g} arcsec, float32"),
        ("Pixels", f"{spec.pixels.protocol}; grid: {manifest.align or 'as delivered'}"),
        ("Size", f"{gigabytes(total)} in {len(manifest.files)} files"),
        ("Archive", f"{archive.name}{kind}, data release {archive.data_release}"),
        ("Created", f"{manifest.created}, galaxyds {manifest.package_version}"),
        ("Declaration", f"version {manifest.public_version}, {manifest.spec_digest[:12]}"),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step from the catalogue to the build.

    Attributes
    ----------
    name, sql, why, source, where : str
        Of the cut or rule; ``where`` says who applied it (``archive``, ``local``).
    removed, left : int
        Rows.
    length, lost : float
        Shares of the first number of rows: what is left, and what went, for the bar.
    """

    name: str
    sql: str
    why: str
    source: str
    where: str
    removed: int
    left: int
    length: float
    lost: float


def steps(spec: DatasetSpec, manifest: Manifest) -> list[Step]:
    """Follow the rows from the first cut to the build: cuts, repeats, dropped objects, a limit."""
    first = manifest.cut_flow[0].rows_before if manifest.cut_flow else 0
    left = manifest.cut_flow[-1].rows_after if manifest.cut_flow else 0
    found = [_cut_step(spec, manifest, row, first) for row in manifest.cut_flow[:MOST]]
    rules = {f"{rule.what}: {rule.rule()}": rule for rule in spec.duplicates}
    for name, removed in list(manifest.duplicates.items())[:MOST]:
        left -= removed
        rule = rules.get(name)
        told = (rule.name, rule.why, rule.source, "local") if rule else ("repeats", "", "", "local")
        found.append(_step(told, name, numbers=(removed, left, first)))
    return found + list(_after_cuts(manifest, left, first))


def _after_cuts(manifest: Manifest, left: int, first: int) -> Iterator[Step]:
    """What a limit or failed tiles left out, and the objects that were dropped."""
    gone = len(manifest.dropped)
    rest = left - gone - manifest.rows
    why = {
        "limit": f"--limit {manifest.selection.limit}, in whole tiles",
        "failed tiles": f"{manifest.failed} tiles failed",
    }
    name = "limit" if manifest.selection.kind == "limit" else "failed tiles"
    if rest > 0 and (name == "limit" or manifest.failed):
        yield _step((name, why[name], "", ""), "", numbers=(rest, manifest.rows + gone, first))
    if gone:
        words = ("dropped", "by reason below", "", "local")
        yield _step(words, "", numbers=(gone, manifest.rows, first))


def _cut_step(spec: DatasetSpec, manifest: Manifest, row: CutRow, first: int) -> Step:
    declared = {cut.sql: cut.shown for cut in spec.config(manifest.config).cuts}
    why = f"{row.why}{'' if row.has_effect else ' (no effect)'}"
    numbers = (row.removed, row.rows_after, first)
    return _step(
        (row.name, why, row.source, row.where), declared.get(row.sql, row.sql), numbers=numbers
    )


def _step(words: tuple[str, str, str, str], sql: str, *, numbers: tuple[int, int, int]) -> Step:
    removed, left, first = numbers
    length, lost = (min(max(n / first, 0.0), 1.0) if first > 0 else 0.0 for n in (left, removed))
    return Step(
        name=words[0], sql=sql, why=words[1], source=words[2], where=words[3], removed=removed,
        left=left, length=length, lost=lost,
    )  # fmt: skip


def published(manifest: Manifest) -> Table:
    """Counts of the paper beside ours."""
    rows = (
        (p.what, p.source, count(p.count), "not compared" if p.ours is None else count(p.ours),
         "–" if p.ours is None or p.count <= 0 else f"{p.ours / p.count:.4g}")
        for p in manifest.published
    )  # fmt: skip
    return table(("what", "source", "published", "here", "ratio"), rows, right=(2, 3, 4))


def dropped(manifest: Manifest) -> Table:
    """Objects that passed the cuts and are not in the build."""
    rows = ((reason, count(n)) for reason, n in manifest.dropped_by_reason().items())
    return table(("reason", "objects"), rows, right=(1,))


def surveys(manifest: Manifest) -> Table:
    """What each spectroscopic survey of a compiled catalogue brought and lost."""
    head = ("survey", "read", "no redshift", "not secure", "secure", "duplicate", "kept", "from")
    rows = (
        (s.name, *map(count, (s.read, s.sentinel, s.insecure, s.secure, s.duplicate, s.kept)),
         s.where)
        for s in manifest.surveys
    )  # fmt: skip
    return table(head, rows, right=range(1, 7))


def bands(spec: DatasetSpec, manifest: Manifest, columns: Columns) -> Table:
    """Pixels of every band, from the manifest, and how many objects have it."""
    mask = columns.get(BAND_MASK.name)
    has = None if mask is None or not len(mask) else bands_with_data(mask, len(spec.bands)).mean(0)
    rows = []
    for place, band in enumerate(spec.bands):
        found = manifest.bands.get(band.name)
        lacking = () if has is None else (share(1 - float(has[place])),)
        rows.append(
            (band.name, f"{band.wavelength:g}", f"{band.unit}, {band.zero_point:g}",
             *((value(found.mean), value(found.std), share(found.nan_fraction),
                share(found.zero_fraction)) if found else ("–",) * 4), *lacking)
        )  # fmt: skip
    head = [
        "band",
        "wavelength [Å]",
        "unit, AB zero point",
        "mean",
        "std",
        "NaN or padding",
        "zero",
    ]
    if has is not None:
        head.append("objects without")
    return table(head, rows, right=(1, 3, 4, 5, 6, 7))


def flags(spec: DatasetSpec, columns: Columns) -> Table | None:
    """Count the bits of ``cutout_flags``; None where no object has the column."""
    values = columns.get("cutout_flags")
    if values is None or not len(values):
        return None
    known = values[values >= 0].astype(np.int64)
    named = [(f.name, int((known >> f.bit & 1).sum()), f.description) for f in spec.flags]
    declared = sum(1 << f.bit for f in spec.flags)
    counted = [
        ("none", int((known == 0).sum()), "complete"),
        *named,
        ("other bits", int((known & ~declared != 0).sum()), "not in this declaration"),
        ("unknown", len(values) - len(known), "the published files do not say"),
    ]
    rows = (
        (name, count(n), share(n / len(values)), what)
        for name, n, what in counted
        if n or name not in ("other bits", "unknown")
    )
    return table(("flag", "objects", "share", "what"), rows, right=(1, 2), code=(0,))


def splits(spec: DatasetSpec, columns: Columns) -> Table:
    """Size, median redshift and distance from the whole of every split."""
    what = "fold" if spec.split.folds else "division"
    head = (what, "split", "objects", "share", "aim", "median z", "KS distance", "chance, 95 %")
    rows = (
        ("all" if p.division is None else str(p.division), p.split, count(p.rows),
         share(p.share), share(p.aim), value(p.median),
         f"{value(p.distance, 3)}{' *' if p.stands_out else ''}", value(p.chance, 3))
        for p in balance.parts(columns, spec.split)
    )  # fmt: skip
    return table(head, rows, right=(0, 2, 3, 4, 5, 6, 7), code=(1,))


def folds(spec: DatasetSpec, columns: Columns) -> str:
    """One sentence on whether every object is tested in exactly one fold; empty without folds."""
    times = balance.times_tested(columns, spec.split)
    if not times:
        return ""
    total = sum(times.values())
    if set(times) == {1}:
        return f"Each of the {count(total)} objects of the folds is tested in exactly one of them."
    told = ", ".join(f"{count(n)} in {k}" for k, n in times.items())
    return f"Objects are not tested in exactly one fold each: {told}. Run galaxyds verify."


def files(manifest: Manifest) -> Table:
    """Every file with its size and hash."""
    rows = ((name, gigabytes(file.bytes), file.sha256) for name, file in manifest.files.items())
    return table(("file", "size", "sha256"), rows, right=(1,), code=(0, 2))


def errata(spec: DatasetSpec) -> Table:
    """Where the paper leaves a choice, and what was chosen."""
    rows = ((e.point, e.paper, e.choice) for e in spec.errata)
    return table(("point", "the paper says", "here"), rows)


def build_command(manifest: Manifest) -> str:
    """Command that makes such a build."""
    return " ".join(["galaxyds build", f"{manifest.name}/{manifest.config}", *_options(manifest)])


def _options(manifest: Manifest) -> Iterator[str]:
    if manifest.archive.simulated:
        yield "--archive simulated"
    if manifest.archive.released:
        yield "--archive release"
    if manifest.selection.kind == "limit":
        yield f"--limit {manifest.selection.limit}"
    if manifest.selection.kind == "objects":
        yield "--objects FILE"
    if manifest.align == "none":
        yield "--align none"
