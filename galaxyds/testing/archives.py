"""What any catalogue archive promises, as tests.

A subclass gives two fixtures, ``archive`` (a ``CatalogArchive``) and ``query`` (a ``CatalogQuery``
with at least one predicate that removes rows), and inherits the tests.  Checked:

* the protocols are implemented, and the archive can be sent to a worker process;
* rows come in the order of the key, unique, in the declared types, without sentinels;
* the counts after each predicate fall, and the last one is the number of rows;
* predicates applied by the archive and applied here keep the same rows.
"""

from __future__ import annotations

import copy
import dataclasses
from multiprocessing.reduction import ForkingPickler

from galaxyds.archives.base import CatalogArchive, CatalogQuery
from galaxyds.catalog import apply_cuts
from galaxyds.spec import Cut


class CatalogContract:
    """Inherit to get the tests; see the module."""

    def test_it_is_a_catalogue_that_travels(self, archive: CatalogArchive) -> None:
        """Protocol, and a copy by the same road that leads to another process."""
        assert isinstance(archive, CatalogArchive)
        assert len(ForkingPickler.dumps(archive)) < 100_000
        twin = copy.deepcopy(archive)
        assert twin.name == archive.name
        assert twin.endpoints() == archive.endpoints()

    def test_rows_are_ordered_typed_and_without_sentinels(
        self, archive: CatalogArchive, query: CatalogQuery
    ) -> None:
        """One rule for missing values, exact integers."""
        from galaxyds.store.columns import arrow_type

        table = archive.rows(query)
        keys = table.column(query.key).to_pylist()
        assert keys == sorted(set(keys))
        for column in query.columns:
            values = table.column(column.name)
            assert values.type == arrow_type(column), column.name
            assert column.nullable or values.null_count == 0, column.name
            if column.sentinel is not None:
                assert column.sentinel not in values.to_pylist(), column.name

    def test_counts_fall_to_the_number_of_rows(
        self, archive: CatalogArchive, query: CatalogQuery
    ) -> None:
        """The cut flow of a pushed-down query is right."""
        counts = archive.count(query)
        assert len(counts) == len(query.predicates) + 1
        assert list(counts) == sorted(counts, reverse=True)
        assert counts[-1] == archive.rows(query).num_rows
        assert counts[-1] == archive.extent(query, (query.key,))[0]

    def test_it_keeps_the_rows_that_we_keep(
        self, archive: CatalogArchive, query: CatalogQuery
    ) -> None:
        """Its dialect and ours agree on every predicate."""
        exact = tuple(column.name for column in query.columns)
        everything = dataclasses.replace(query, predicates=(), exact=exact)
        cuts = [
            Cut(name=f"p{n}", sql=sql, why="", source="") for n, sql in enumerate(query.predicates)
        ]
        kept, flow = apply_cuts(archive.rows(everything), cuts)
        assert kept.column(query.key).equals(archive.rows(query).column(query.key))
        assert (flow[0].before, *(step.after for step in flow)) == archive.count(query)
