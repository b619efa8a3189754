"""Tables in, tables out: cuts, duplicates, splits, tiles, object lists."""

from galaxyds.catalog.cuts import CutStep, apply_cuts, check_pushdown, deduplicate, derive, steps
from galaxyds.catalog.engine import connect, evaluate
from galaxyds.catalog.splits import assign, divide, folds, hash_ids
from galaxyds.catalog.tiles import chains, take_tiles, tiles_of

__all__ = [
    "CutStep",
    "apply_cuts",
    "assign",
    "chains",
    "check_pushdown",
    "connect",
    "deduplicate",
    "derive",
    "divide",
    "evaluate",
    "folds",
    "hash_ids",
    "steps",
    "take_tiles",
    "tiles_of",
]
