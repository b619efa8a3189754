"""The dataset card: generated from spec and manifest, never typed.

The YAML head is written as JSON scalars (JSON is YAML), and every text that could come from
outside is escaped: a server's warning or a file name is shown, not rendered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from galaxyds.errors import one_line

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

_MARKUP = re.compile(r"([\\`*_{}\[\]|~$]|^[-+#])")
_HUB_LICENCES = ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "bsd-3-clause", "mit")


class Size(Protocol):
    """Rows and bytes of a split."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def bytes(self) -> int:
        """Bytes in memory."""


def render_card(
    spec: DatasetSpec,
    manifest: Manifest,
    *,
    features: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, Size],
) -> str:
    """Write the card of a build.

    Parameters
    ----------
    spec : DatasetSpec
        Texts, columns, licence, citations.
    manifest : Manifest
        Counts, cut flow, what kind of build it is.
    features : mapping
        Of the hub's rows, as :func:`galaxyds.publish.hub.hub_features` gives them.
    sizes : mapping of str to SplitSize
        By split; splits without objects are left out.

    Returns
    -------
    str
        Markdown with a YAML head.
    """
    sections = (
        _head(spec, manifest, features, sizes),
        _title(spec, manifest),
        _contents(spec, manifest, sizes),
        _usage(spec, manifest),
        _provenance(manifest),
        _surveys(manifest),
        _cut_flow(manifest),
        _columns(spec),
        _flags(spec),
        _bands(spec, manifest),
        _errata(spec),
        _terms(spec),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def text(value: str, limit: int = 600) -> str:
    """Show foreign text as it is: one line, markup and HTML off."""
    flat = one_line(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", flat)


def code(value: str, *, limit: int = 2000) -> str:
    """Show foreign text as one span of code, for a sentence or (with pipes escaped) a table."""
    flat = one_line(value, limit).replace("|", "\\|").replace("`", "'")
    return f"`{flat}`" if flat else ""


def code_block(value: str, language: str) -> list[str]:
    """Show foreign text as a block of code that it cannot leave."""
    return [f"```{language}", one_line(value, 100_000).replace("`", "'"), "```"]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; cells are taken as they are."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"


def _quote(value: str) -> str:
    return json.dumps(one_line(value), ensure_ascii=False)


def _head(
    spec: DatasetSpec,
    manifest: Manifest,
    features: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, Size],
) -> list[str]:
    config = _quote(manifest.config)
    spdx = spec.licence.spdx.lower()
    known = spdx in _HUB_LICENCES
    total = sum(size.bytes for size in sizes.values())
    return [
        "---",
        f"license: {spdx if known else 'other'}",
        *([] if known else [f"license_name: {_quote(spec.licence.name)}"]),
        f"pretty_name: {_quote(spec.title)}",
        'tags: ["astronomy", "photometric-redshift", "images"]',
        "configs:",
        f"- config_name: {config}",
        # A hub version has three numbers; the local label stands in the text below.
        f"  version: {_quote(manifest.public_version)}",
        "  default: true",
        "  data_files:",
        *(
            f"  - {{split: {split}, path: {_quote(f'{manifest.config}/{split}-*.parquet')}}}"
            for split in sizes
        ),
        "dataset_info:",
        f"- config_name: {config}",
        "  features:",
        *(_feature(name, feature) for name, feature in features.items()),
        "  splits:",
        *(
            f"  - {{name: {split}, num_bytes: {sizes[split].bytes}, "
            f"num_examples: {sizes[split].rows}}}"
            for split in sizes
        ),
        f"  dataset_size: {total}",
        "---",
    ]


def _feature(name: str, feature: Mapping[str, Any]) -> str:
    if feature["_type"] == "Value":
        return f"  - {{name: {_quote(name)}, dtype: {feature['dtype']}}}"
    shape = ", ".join(str(length) for length in feature["shape"])
    inner = f"{{shape: [{shape}], dtype: {feature['dtype']}}}"
    return f"  - {{name: {_quote(name)}, dtype: {{array3_d: {inner}}}}}"


def _title(spec: DatasetSpec, manifest: Manifest) -> list[str]:
    lines = [f"# {text(spec.title)}", "", text(spec.summary, 2000)]
    if not manifest.is_full:
        nature = f"{text(manifest.nature())}, {manifest.rows:,} objects"
        version = text(manifest.version)
        lines += ["", f"> **This is not the full dataset.** Version {version}: {nature}."]
    if manifest.archive.simulated:
        lines += [
            ">",
            "> **The pixels and the catalogue are simulated. Nothing here was observed.**",
            *(f"> - {text(departure)}" for departure in manifest.departures),
        ]
    return lines


def _contents(spec: DatasetSpec, manifest: Manifest, sizes: Mapping[str, Size]) -> list[str]:
    bands, rows, columns = spec.image_shape()
    what = (
        f"{manifest.rows:,} objects, each with a cutout of {bands} bands "
        f"({', '.join(spec.band_names())}) x {rows} x {columns} pixels of "
        f"{spec.pixels.scale} arcsec, float32. Config {code(manifest.config)}: "
        f"{text(spec.config(manifest.config).description)}."
    )
    return [
        "## Contents",
        "",
        what,
        "",
        *table(("split", "objects"), ((split, f"{size.rows:,}") for split, size in sizes.items())),
        "",
        f"These are the splits of {'fold' if spec.split.folds else 'division'} 0 of "
        f"{spec.split.divisions}; the columns "
        + ", ".join(code(column.name) for column in spec.split.columns())
        + " hold all of them.",
        *(
            f"- {code(extra.name)}: {text(extra.why)} ({text(extra.source)})"
            for extra in spec.split.extra
        ),
    ]


def _usage(spec: DatasetSpec, manifest: Manifest) -> list[str]:
    missing = (
        "A missing float is NaN; a missing integer is the sentinel given with its column. The "
        "torch format of datasets shows uint64 as int64: values from 2^63 on come out negative."
    )
    return [
        "## Use",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'data = load_dataset("PATH_OR_ID", "{manifest.config}").with_format("torch")',
        f'data["train"][0]["image"]  # {tuple(spec.image_shape())} float32',
        "",
        "import galaxyds",
        "",
        f'galaxyds.load("{manifest.name}/{manifest.config}:{manifest.version}", split="train")',
        "```",
        "",
        missing,
    ]


def _provenance(manifest: Manifest) -> list[str]:
    archive = manifest.archive
    dropped = manifest.dropped_by_reason()
    return [
        "## Provenance",
        "",
        f"- archive: {text(archive.name)}, {text(archive.data_release)}"
        + (" (simulated)" if archive.simulated else ""),
        *(f"- {text(name)}: {code(url)}" for name, url in archive.endpoints.items()),
        f"- built by galaxyds {text(manifest.package_version)}, spec {code(manifest.spec_digest)}",
        *(f"- published, {text(p.what)} ({text(p.source)}): {p.count:,}; here: "
          f"{'not compared' if p.ours is None else f'{p.ours:,}'}" for p in manifest.published),
        *(f"- duplicates removed, {text(rule)}: {n:,}" for rule, n in manifest.duplicates.items()),
        *(f"- dropped, {text(reason)}: {n:,}" for reason, n in dropped.items()),
        *(f"- warning: {text(warning)}" for warning in manifest.warnings),
        *(line for query in manifest.queries for line in ("", *code_block(query, "sql"))),
    ]  # fmt: skip


def _surveys(manifest: Manifest) -> list[str]:
    """What each spectroscopic survey of a compiled catalogue brought and lost."""
    if not manifest.surveys:
        return []
    rows = (
        (text(s.name), *(f"{n:,}" for n in (s.read, s.sentinel, s.insecure, s.secure, s.duplicate,
                                            s.kept)), text(s.where))
        for s in manifest.surveys
    )  # fmt: skip
    head = ("survey", "read", "no redshift", "not secure", "secure", "duplicate", "kept", "from")
    return ["## Spectroscopic surveys", "", *table(head, rows)]


def _cut_flow(manifest: Manifest) -> list[str]:
    rows = (
        (text(row.name), code(row.sql), f"{row.removed:,}", f"{row.rows_after:,}", text(row.why),
         text(row.source))
        for row in manifest.cut_flow
    )  # fmt: skip
    head = ("cut", "keeps rows where", "removed", "left", "why", "source")
    return ["## Cut flow", "", *table(head, rows)]


def _columns(spec: DatasetSpec) -> list[str]:
    rows = (
        (code(c.name), c.dtype, text(c.unit), text(c.description),
         "" if c.sentinel is None or not c.nullable or c.dtype.startswith("float")
         else f"{c.sentinel:g}")
        for c in spec.stored_columns()
    )  # fmt: skip
    return ["## Columns", "", *table(("column", "dtype", "unit", "what", "missing"), rows)]


def _flags(spec: DatasetSpec) -> list[str]:
    """What the bits of ``cutout_flags`` mean."""
    rows = ((str(1 << f.bit), code(f.name), text(f.description)) for f in spec.flags)
    if not spec.flags:
        return []
    return ["## Bits of `cutout_flags`", "", *table(("value", "flag", "what"), rows)]


def _bands(spec: DatasetSpec, manifest: Manifest) -> list[str]:
    rows = []
    for band in spec.bands:
        found = manifest.bands.get(band.name)
        mean, std = (found.mean, found.std) if found else (None, None)
        nans = f"{found.nan_fraction:.4%}" if found else ""
        rows.append(
            (code(band.name), text(band.unit), band.zero_point, f"{band.wavelength:g}",
             "" if mean is None else f"{mean:.5g}", "" if std is None else f"{std:.5g}", nans)
        )  # fmt: skip
    head = (
        "band",
        "unit",
        "AB zero point",
        "wavelength (angstrom)",
        "mean",
        "std",
        "missing pixels",
    )
    return ["## Bands", "", *table(head, rows)]


def _errata(spec: DatasetSpec) -> list[str]:
    rows = ((text(e.point), text(e.paper), text(e.choice)) for e in spec.errata)
    intro = f"Where the paper ({text(spec.paper)}) leaves a choice, and what was chosen:"
    return ["## Choices", "", intro, "", *table(("point", "the paper says", "here"), rows)]


def _terms(spec: DatasetSpec) -> list[str]:
    licence = spec.licence
    return [
        "## Licence and citation",
        "",
        f"{text(licence.name)} ({text(licence.spdx)}), {licence.url}",
        "",
        text(licence.redistribution, 2000),
        "",
        text(licence.acknowledgement, 2000),
        "",
        *(f"- {text(citation.role)}: {text(citation.text)}" for citation in spec.citations),
        "",
        "```bibtex",
        *(citation.bibtex for citation in spec.citations),
        "```",
    ]
