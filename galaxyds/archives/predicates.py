"""Predicates: written once in DuckDB's dialect over galaxyds names, rendered for an archive.

sqlglot reads them; what is written is decided node by node from a short list of what is known to
mean the same in every dialect, and everything else is refused with the reason.

**Missing values.**  A nullable column is missing where the archive has its sentinel (SDSS: -9999),
NaN or NULL.  Tables here have NULL in all three cases, so a predicate must treat them alike at the
archive:

* ``x IS NULL`` becomes ``x = -9999``;
* a comparison with a constant keeps its shape; if the sentinel itself would satisfy it,
  ``AND x <> -9999`` is added (not where ``OR x IS NULL`` stands beside it and admits the row);
* everywhere else (under NOT, in arithmetic, in functions, between two columns) the column is
  written ``NULLIF(x, -9999)``, which gives SQL's own three-valued logic.

**Traps.**  DuckDB's ``log`` is the decimal logarithm and T-SQL's the natural one; DuckDB divides
integers into a fraction and T-SQL does not; a division by a column that may be 0 is an error there
and infinity here, so it is refused; NaN is larger than every number in DuckDB and PostgreSQL and
does not exist in SQL Server; SQL Server compares text without case in its usual collations, so text
is only compared for equality, and a catalogue whose classes differ in case only is out of scope.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from galaxyds.errors import UsageError, one_line
from galaxyds.spec import Column

Dialect = Literal["tsql", "postgres", "duckdb"]
Kind = Literal["number", "integer", "string", "boolean"]

_PLAIN = re.compile(r"(?:[A-Za-z_]\w*\.)?([A-Za-z_]\w*)")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

_COMPARISONS: dict[type[Any], tuple[str, Callable[[Any, Any], bool]]] = {
    exp.EQ: ("=", operator.eq),
    exp.NEQ: ("<>", operator.ne),
    exp.LT: ("<", operator.lt),
    exp.LTE: ("<=", operator.le),
    exp.GT: (">", operator.gt),
    exp.GTE: (">=", operator.ge),
}
_MIRROR = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BY_SIGN = dict(_COMPARISONS.values())
_ARITHMETIC: dict[type[Any], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_BITWISE: dict[type[Any], str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|"}
_FUNCTIONS: dict[type[Any], dict[Dialect, str]] = {
    exp.Abs: {"tsql": "ABS", "postgres": "ABS", "duckdb": "ABS"},
    exp.Floor: {"tsql": "FLOOR", "postgres": "FLOOR", "duckdb": "FLOOR"},
    exp.Ceil: {"tsql": "CEILING", "postgres": "CEIL", "duckdb": "CEIL"},
    exp.Sqrt: {"tsql": "SQRT", "postgres": "SQRT", "duckdb": "SQRT"},
    exp.Exp: {"tsql": "EXP", "postgres": "EXP", "duckdb": "EXP"},
    exp.Ln: {"tsql": "LOG", "postgres": "LN", "duckdb": "LN"},
}
_LOG10: dict[Dialect, str] = {"tsql": "LOG10", "postgres": "LOG", "duckdb": "LOG10"}
_DOUBLE = "double precision"


class _Value(NamedTuple):
    """A rendered value: its text and kind, and the column or the constant that it is, if any."""

    text: str
    kind: Kind
    column: Column | None = None
    constant: Decimal | None = None


class _Condition(NamedTuple):
    """A rendered condition; ``joined`` is the word that joins its parts at the outside."""

    text: str
    joined: Literal["", "AND", "OR"] = ""

    def inside(self, word: str) -> str:
        return f"({self.text})" if self.joined and self.joined != word else self.text


def predicate(text: str, vocabulary: Sequence[Column], *, dialect: Dialect = "tsql") -> str:
    """Render one predicate for an archive.

    Parameters
    ----------
    text : str
        Condition in DuckDB's dialect over the names of ``vocabulary``.
    vocabulary : sequence of Column
        Columns that may be used; each needs an ``archive`` expression.
    dialect : {"tsql", "postgres", "duckdb"}
        What the archive speaks.

    Returns
    -------
    str
        One line.  Rows for which it is true are those for which ``text`` is true once sentinels,
        NaN and NULL of nullable columns are NULL.

    Raises
    ------
    UsageError
        If the text is no predicate, names an unknown column or uses what does not mean the same
        everywhere.
    """
    return _render(text, vocabulary, dialect).text


def conjunct(text: str, vocabulary: Sequence[Column], *, dialect: Dialect = "tsql") -> str:
    """Render one predicate as :func:`predicate` does, ready to be joined to others with AND.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    return _render(text, vocabulary, dialect).inside("AND")


def expression(column: Column) -> str:
    """Return the archive's expression of a column, in parentheses unless it is a plain name.

    Raises
    ------
    UsageError
        If the archive does not know the column.
    """
    if not column.archive:
        raise UsageError(
            f"column {column.name} is not known to the archive: test it with pushdown=False",
            column=column.name,
        )
    return column.archive if _PLAIN.fullmatch(column.archive) else f"({column.archive})"


def is_plain(text: str) -> str:
    """Return the bare column name of ``a.name``, or nothing if the text is an expression."""
    match = _PLAIN.fullmatch(text)
    return match[1] if match else ""


def _render(text: str, vocabulary: Sequence[Column], dialect: Dialect) -> _Condition:
    return _Renderer(text, {c.name.lower(): c for c in vocabulary}, dialect).run()


def _unwrapped(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _flat(node: exp.Expression, kind: type[Any]) -> Iterator[exp.Expression]:
    """Yield the operands of a chain of ANDs or ORs, left to right, without recursion."""
    waiting = [node]
    while waiting:
        inner = _unwrapped(waiting.pop())
        if isinstance(inner, kind):
            waiting += [inner.expression, inner.this]
        else:
            yield inner


def _number(text: str) -> str:
    return str(int(float(text))) if float(text).is_integer() else text


class _Renderer:
    """Renders one predicate; ``loose`` is true where NULL and false have the same consequence."""

    def __init__(self, text: str, columns: Mapping[str, Column], dialect: Dialect) -> None:
        self.text = text
        self.columns = columns
        self.dialect = dialect

    def run(self) -> _Condition:
        try:
            trees = parse(self.text, dialect="duckdb")
            if len(trees) != 1 or trees[0] is None:
                raise self.refuse("it must be one condition")
            return self.condition(trees[0], loose=True)
        except RecursionError:
            raise self.refuse("it is nested too deeply") from None
        except SqlglotError as error:
            found = getattr(error, "errors", None) or [{}]
            place = f" at column {found[0]['col']}" if found[0].get("col") else ""
            raise self.refuse(f"it cannot be read as SQL{place}") from None

    def refuse(self, reason: str) -> UsageError:
        return UsageError(
            f"the predicate '{one_line(self.text, 120)}' cannot be sent to an archive: {reason}",
            predicate=self.text,
        )

    # conditions ------------------------------------------------------------------------------

    def condition(self, node: exp.Expression, *, loose: bool) -> _Condition:
        node = _unwrapped(node)
        if type(node) in _COMPARISONS:
            return self.comparison(node, loose=loose)
        render = _CONDITIONS.get(type(node))
        return render(self, node, loose=loose) if render else self.truth(node, loose=loose)

    def constant(self, node: exp.Expression, *, loose: bool) -> _Condition:
        del loose  # a constant is never NULL
        return _Condition("1 = 1" if node.this else "1 = 0")

    def chain(self, node: exp.Expression, *, loose: bool) -> _Condition:
        word: Literal["AND", "OR"] = "AND" if isinstance(node, exp.And) else "OR"
        parts = list(_flat(node, type(node)))
        admitted = {self.tested(part) for part in parts} if word == "OR" else set()
        texts = []
        for part in parts:
            if loose and type(part) in _COMPARISONS and self.subject(part) in admitted - {None}:
                texts.append(self.comparison(part, loose=True, admitted=True).inside(word))
            else:
                texts.append(self.condition(part, loose=loose).inside(word))
        return _Condition(f" {word} ".join(texts), word)

    def tested(self, node: exp.Expression) -> str | None:
        """Name of the column that ``x IS NULL`` tests, if the node is that."""
        is_test = isinstance(node, exp.Is) and isinstance(node.expression, exp.Null)
        return self.name(node.this) if is_test else None

    def subject(self, node: exp.Expression) -> str | None:
        """Name of the column that a comparison with a constant is about."""
        names = [self.name(node.this), self.name(node.expression)]
        return next((name for name in names if name), None) if names.count(None) == 1 else None

    def name(self, node: exp.Expression) -> str | None:
        inner = _unwrapped(node)
        return inner.name.lower() if isinstance(inner, exp.Column) else None

    def negation(self, node: exp.Expression, *, loose: bool) -> _Condition:
        del loose  # under NOT, false and NULL differ
        inner = _unwrapped(node.this)
        if isinstance(inner, exp.Is):
            return self.missing(inner, loose=False, wanted=False)
        return _Condition(f"NOT ({self.condition(inner, loose=False).text})")

    def truth(self, node: exp.Expression, *, loose: bool) -> _Condition:
        """Render a number where a condition stands: DuckDB takes anything but 0 as true."""
        del loose
        value = self.value(node)
        if value.kind == "string":
            raise self.refuse("text is no condition")
        if self.dialect == "postgres" and value.kind == "boolean":
            return _Condition(value.text)
        return _Condition(f"{value.text} <> 0")

    def comparison(
        self, node: exp.Expression, *, loose: bool, admitted: bool = False
    ) -> _Condition:
        sign = _COMPARISONS[type(node)][0]
        left, right = self.value(node.this), self.value(node.expression)
        self.comparable(sign, left, right)
        if loose and left.column and right.column is None and self.is_constant(node.expression):
            return self.against(left.column, sign, right, admitted=admitted)
        if loose and right.column and left.column is None and self.is_constant(node.this):
            return self.against(right.column, _MIRROR[sign], left, admitted=admitted)
        return _Condition(f"{left.text} {sign} {right.text}")

    def is_constant(self, node: exp.Expression) -> bool:
        inner = _unwrapped(node)
        while isinstance(inner, exp.Neg):
            inner = _unwrapped(inner.this)
        return isinstance(inner, exp.Literal | exp.Boolean)

    def against(self, column: Column, sign: str, constant: _Value, *, admitted: bool) -> _Condition:
        """``column sign constant``, without the rows in which the column is missing."""
        raw, text = expression(column), self.cast(column, constant)
        test = f"{raw} {sign} {text}"
        if admitted or constant.constant is None:
            return _Condition(test)
        marks = [m for m in self.marks(column) if _satisfied(m, sign, constant.constant)]
        if not marks:
            return _Condition(test)
        return _Condition(" AND ".join([test, *(f"{raw} <> {mark}" for mark in marks)]), "AND")

    def comparable(self, sign: str, left: _Value, right: _Value) -> None:
        kinds = {left.kind, right.kind}
        if "string" in kinds and kinds != {"string"}:
            raise self.refuse("it compares text with a number")
        if kinds == {"string"} and sign not in ("=", "<>"):
            raise self.refuse("the order of texts differs between databases")
        if "boolean" in kinds and kinds != {"boolean"}:
            raise self.refuse("it compares a number with true or false")

    def between(self, node: exp.Expression, *, loose: bool) -> _Condition:
        if node.args.get("symmetric"):
            raise self.refuse("BETWEEN SYMMETRIC is not known everywhere")
        pairs = ((exp.GTE, node.args["low"]), (exp.LTE, node.args["high"]))
        parts = [
            self.comparison(kind(this=node.this, expression=bound), loose=loose)
            for kind, bound in pairs
        ]
        return _Condition(" AND ".join(part.text for part in parts), "AND")

    def membership(self, node: exp.Expression, *, loose: bool) -> _Condition:
        if any(node.args.get(key) for key in ("query", "unnest", "field")):
            raise self.refuse("IN takes a list of constants")
        value, items = self.value(node.this), [self.value(item) for item in node.expressions]
        if not items or not all(self.is_constant(item) for item in node.expressions):
            raise self.refuse("IN takes a list of constants")
        for item in items:
            self.comparable("=", value, item)
        column = value.column
        listed = ", ".join(self.cast(column, item) if column else item.text for item in items)
        marks = self.marks(column) if column else []
        hit = [m for m in marks if any(_satisfied(m, "=", i.constant) for i in items)]
        if not loose or column is None or hit:
            return _Condition(f"{value.text} IN ({listed})")
        return _Condition(f"{expression(column)} IN ({listed})")

    def missing(self, node: exp.Expression, *, loose: bool, wanted: bool = True) -> _Condition:
        del loose  # a test for NULL is never NULL
        if not isinstance(node.expression, exp.Null):
            raise self.refuse("IS is for NULL only")
        value = self.value(node.this)
        column = value.column
        null = "IS NULL" if wanted else "IS NOT NULL"
        if column is None or not self.marks(column):
            return _Condition(f"{value.text} {null}")
        raw = expression(column)
        tests = [f"{raw} {'=' if wanted else '<>'} {mark}" for mark in self.marks(column)]
        # SkyServer's columns are NOT NULL: there, the sentinel is the only sign of a missing value.
        if self.dialect != "tsql":
            tests.append(f"{raw} {null}")
        word: Literal["AND", "OR"] = "OR" if wanted else "AND"
        return _Condition(f" {word} ".join(tests), word if len(tests) > 1 else "")

    # values ----------------------------------------------------------------------------------

    def marks(self, column: Column) -> list[str]:
        """List what stands at the archive where a column has no value, NULL aside."""
        if not column.nullable:
            return []
        found = [] if column.sentinel is None else [_number(repr(column.sentinel))]
        if self.dialect != "tsql" and column.dtype.startswith("float"):
            found.append(f"CAST('NaN' AS {_DOUBLE})")
        return found

    def cast(self, column: Column, constant: _Value) -> str:
        """Keep a comparison of a 32-bit column in 32 bits, as DuckDB and SQL Server do."""
        decimal = "." in constant.text and "e" not in constant.text.lower()
        if self.dialect == "postgres" and column.dtype == "float32" and decimal:
            return f"CAST({constant.text} AS real)"
        return constant.text

    def value(self, node: exp.Expression) -> _Value:
        node = _unwrapped(node)
        if isinstance(node, exp.Column):
            return self.column(node)
        if isinstance(node, exp.Literal):
            return self.literal(node)
        if isinstance(node, exp.Boolean):
            spelled = {"postgres": ("FALSE", "TRUE")}.get(self.dialect, ("0", "1"))
            return _Value(spelled[bool(node.this)], "boolean")
        if isinstance(node, exp.Neg):
            inner = self.numbers(node.this)[0]
            negative = None if inner.constant is None else -inner.constant
            plain = _NUMBER.fullmatch(inner.text)
            text = f"-{inner.text}" if plain else f"-({inner.text})"
            return _Value(text, inner.kind, None, negative)
        return self.compound(node)

    def column(self, node: exp.Column) -> _Value:
        found = None if node.table else self.columns.get(node.name.lower())
        if found is None:
            raise self.refuse(f"there is no column '{one_line(node.sql(), 60)}'")
        text = expression(found)
        for mark in self.marks(found):
            text = f"NULLIF({text}, {mark})"
        kinds: dict[str, Kind] = {"string": "string", "bool": "boolean"}
        kind: Kind = "integer" if "int" in found.dtype else kinds.get(found.dtype, "number")
        return _Value(text, kind, found)

    def literal(self, node: exp.Literal) -> _Value:
        if node.is_string:
            if node.this != node.this.rstrip() or "  " in node.this:
                raise self.refuse("databases differ on blanks in text")
            return _Value("'" + node.this.replace("'", "''") + "'", "string")
        if not _NUMBER.fullmatch(node.this):
            raise self.refuse(f"'{one_line(node.this, 40)}' is no number")
        kind: Kind = "integer" if node.this.isdigit() else "number"
        return _Value(node.this, kind, None, Decimal(node.this))

    def numbers(self, *nodes: exp.Expression) -> list[_Value]:
        values = [self.value(node) for node in nodes]
        if any(value.kind not in ("number", "integer") for value in values):
            raise self.refuse("arithmetic needs numbers")
        return values

    def compound(self, node: exp.Expression) -> _Value:
        kind = type(node)
        if kind in _ARITHMETIC:
            left, right = self.numbers(node.this, node.expression)
            same: Kind = "integer" if left.kind == right.kind == "integer" else "number"
            return _Value(f"({left.text} {_ARITHMETIC[kind]} {_signed(right)})", same)
        if kind in _BITWISE or kind is exp.Mod:
            return self.integers(node, _BITWISE.get(kind, "%"))
        if kind in _FUNCTIONS:
            return self.function(node, _FUNCTIONS[kind][self.dialect])
        if kind in _COMPOUNDS:
            return _COMPOUNDS[kind](self, node)
        raise self.refuse(f"{kind.__name__.upper()} is not known to mean the same everywhere")

    def power(self, node: exp.Expression) -> _Value:
        base, exponent = self.numbers(node.this, node.expression)
        # SQL Server's POWER has the type of its base: POWER(10, 0.5) is 3.
        return _Value(f"POWER(CAST({base.text} AS {_DOUBLE}), {exponent.text})", "number")

    def coalesce(self, node: exp.Expression) -> _Value:
        values = self.numbers(node.this, *node.expressions)
        return _Value(f"COALESCE({', '.join(v.text for v in values)})", "number")

    def integers(self, node: exp.Expression, sign: str) -> _Value:
        left, right = self.numbers(node.this, node.expression)
        if {left.kind, right.kind} != {"integer"}:
            raise self.refuse(f"{sign} needs integers")
        if sign == "%" and not right.constant:
            raise self.refuse("% needs a constant that is not 0")
        return _Value(f"({left.text} {sign} {_signed(right)})", "integer")

    def quotient(self, node: exp.Expression) -> _Value:
        left, right = self.numbers(node.this, node.expression)
        if not right.constant:
            raise self.refuse("only a constant that is not 0 may divide; multiply both sides")
        top = left.text
        if left.kind == right.kind == "integer":
            top = f"CAST({left.text} AS {_DOUBLE})"
        return _Value(f"({top} / {_signed(right)})", "number")

    def function(self, node: exp.Expression, name: str) -> _Value:
        if any(v for k, v in node.args.items() if k != "this" and v not in (None, False, [])):
            raise self.refuse(f"{name} takes one argument")
        (value,) = self.numbers(node.this)
        kind: Kind = value.kind if isinstance(node, exp.Abs) else "number"
        return _Value(f"{name}({value.text})", kind)

    def logarithm(self, node: exp.Expression) -> _Value:
        argument = node.this
        if node.expression:
            base = _unwrapped(node.this)
            if not (isinstance(base, exp.Literal) and base.this == "10"):
                raise self.refuse("use log (base 10) or ln")
            argument = node.expression
        (value,) = self.numbers(argument)
        return _Value(f"{_LOG10[self.dialect]}({value.text})", "number")

    def case(self, node: exp.Expression) -> _Value:
        if node.this:
            raise self.refuse("write CASE WHEN condition")
        branches = [
            f"WHEN {self.condition(part.this, loose=False).text} "
            f"THEN {self.numbers(part.args['true'])[0].text}"
            for part in node.args["ifs"]
        ]
        default = node.args.get("default")
        if default is not None:
            branches.append(f"ELSE {self.numbers(default)[0].text}")
        return _Value(f"CASE {' '.join(branches)} END", "number")


_CONDITIONS: dict[type[Any], Callable[..., _Condition]] = {
    exp.And: _Renderer.chain,
    exp.Or: _Renderer.chain,
    exp.Not: _Renderer.negation,
    exp.Between: _Renderer.between,
    exp.In: _Renderer.membership,
    exp.Is: _Renderer.missing,
    exp.Boolean: _Renderer.constant,
}
_COMPOUNDS: dict[type[Any], Callable[[_Renderer, exp.Expression], _Value]] = {
    exp.Div: _Renderer.quotient,
    exp.Log: _Renderer.logarithm,
    exp.Pow: _Renderer.power,
    exp.Coalesce: _Renderer.coalesce,
    exp.Case: _Renderer.case,
}


def _signed(value: _Value) -> str:
    return f"({value.text})" if value.text.startswith("-") else value.text


def _satisfied(mark: str, sign: str, constant: Decimal | None) -> bool:
    """Whether a row in which the column holds ``mark`` would pass ``column sign constant``."""
    if constant is None:
        return False
    if mark.startswith("CAST"):  # NaN: larger than every number
        return sign in ("<>", ">", ">=")
    holds: bool = _BY_SIGN[sign](Decimal(mark), constant)
    return holds
