"""Derivatives of embedded channel functions by rewriting their source: forward mode, one direction at a time.

`tangent` turns ``f(y, x, p)`` into a function that returns the values of f and their derivatives with respect to one of its inputs,
``x.ca`` or ``y.h``; the compiler shares what several directions have in common. Straight code, branches, ``math`` and calls of other
embedded functions are understood. For anything else it returns None, and the caller falls back on differences.

Reference: A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., SIAM 2008 (doi 10.1137/1.9780898717761), chapter 3.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

Dot = ast.expr | None
"""A tangent; None where it is zero whatever the values are."""

SLOPES = {
    "exp": "{v}",
    "expm1": "({v} + 1.0)",
    "log": "(1.0 / {a})",
    "log1p": "(1.0 / (1.0 + {a}))",
    "sqrt": "(0.5 / {v})",
    "tanh": "(1.0 - {v} * {v})",
    "sin": "math.cos({a})",
    "cos": "(-math.sin({a}))",
    "sinh": "math.cosh({a})",
    "cosh": "math.sinh({a})",
    "atan": "(1.0 / (1.0 + {a} * {a}))",
}
"""Derivative of ``math.<name>(a)``, whose value is v."""


@dataclass(frozen=True)
class Tangent:
    """An embedded function that returns n values and then the derivatives of those of them listed in `active`."""

    name: str
    values: int
    active: tuple[int, ...]


class _Unknown(Exception):
    """The source uses something whose derivative is not known here."""


def tangent(name: str, seeds: Sequence[str], sources: dict[str, str]) -> Tangent | None:
    """Add the derivative of an embedded function to `sources`.

    Parameters
    ----------
    name : key of the function in `sources`.
    seeds : what moves: one attribute of an argument at unit speed (``("x.ca",)``), or arguments, whose speeds the new function then takes
        as further arguments in this order.
    sources : texts of embedded functions by name; helpers that are needed are added, too.

    Returns
    -------
    Tangent or None
        None where the source contains something whose derivative is not known.

    Examples
    --------
    >>> sources = {"f": "def f(y, x, p):\\n    return p.k * x.ca ** 2"}
    >>> found = tangent("f", ("x.ca",), sources)
    >>> found.values, found.active
    (1, (0,))
    """
    try:
        return _Rewriter(name, tuple(seeds), sources).run()
    except _Unknown:
        return None


def arguments_of(text: str) -> list[str]:
    """Names of the arguments of an embedded function."""
    return [a.arg for a in _definition(text).args.args]


def _definition(text: str) -> ast.FunctionDef:
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


@dataclass
class _Rewriter:
    name: str
    seeds: tuple[str, ...]
    sources: dict[str, str]
    dots: dict[str, ast.expr] = field(default_factory=dict)
    lines: list[ast.stmt] = field(default_factory=list)
    returns: list[tuple[list[ast.expr], list[Dot]]] = field(default_factory=list)
    places: list[ast.Return] = field(default_factory=list)
    count: int = 0

    def run(self) -> Tangent:
        node = _definition(self.sources[self.name])
        for seed in self.seeds:
            whole = seed.partition(".")[0]
            self.dots[seed] = ast.Constant(1.0) if "." in seed else _name(f"dot_{seed}")
            if whole not in {a.arg for a in node.args.args}:
                raise _Unknown
        if any(isinstance(n, ast.Name) and n.id.startswith(("ad_", "dot_")) for n in ast.walk(node)):
            raise _Unknown  # our own names
        body = self.block(node.body)
        sizes = {len(values) for values, _ in self.returns}
        if len(sizes) != 1:
            raise _Unknown
        n = sizes.pop()
        active = tuple(k for k in range(n) if any(dots[k] is not None for _, dots in self.returns))
        for place, (values, dots) in zip(self.places, self.returns, strict=True):
            place.value = ast.Tuple([*values, *(dots[k] or ast.Constant(0.0) for k in active)], ast.Load())
        node.args.args += [ast.arg(f"dot_{s}") for s in self.seeds if "." not in s]
        node.body, node.name = body, "_"
        text = ast.unparse(ast.fix_missing_locations(node))
        name = f"{self.name.rpartition('_')[0]}_d{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        self.sources.setdefault(name, text.replace("def _(", f"def {name}(", 1))
        return Tangent(name, n, active)

    # statements

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Rewrite a sequence of statements."""
        outer, self.lines = self.lines, []
        for s in statements:
            self.statement(s)
        done, self.lines = self.lines, outer
        return done

    def statement(self, s: ast.stmt) -> None:
        """Rewrite one statement."""
        if isinstance(s, ast.Assign) and len(s.targets) == 1:
            self.assign(s.targets[0], s.value)
        elif isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            self.assign(s.target, ast.BinOp(_name(s.target.id), s.op, s.value))
        elif isinstance(s, ast.If):
            self.branch(s.test, s.body, s.orelse)
        elif isinstance(s, ast.Return) and s.value is not None:
            values, dots = self.several(s.value)
            place = ast.Return()
            self.returns.append((values, dots))
            self.places.append(place)
            self.lines.append(place)
        elif not isinstance(s, ast.Pass):
            raise _Unknown

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """Assign values, and tangents to the names that go with them."""
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values, dots = self.several(value)
        if len(values) != len(names) or not all(isinstance(n, ast.Name) for n in names):
            raise _Unknown
        if len(names) > 1:  # right sides are taken before any name changes
            values = [self.keep(v) for v in values]
            dots = [d if d is None else self.keep(d) for d in dots]
        for n, v, d in zip(names, values, dots, strict=True):
            assert isinstance(n, ast.Name)
            if d is not None:
                d = self.keep(d)
            self.put(n.id, v)
            self.dots.pop(n.id, None)
            if d is not None:
                self.put(f"dot_{n.id}", d)
                self.dots[n.id] = _name(f"dot_{n.id}")

    def branch(self, test: ast.expr, yes: Sequence[ast.stmt], no: Sequence[ast.stmt]) -> None:
        """Rewrite both branches; a name that moves in one of them gets a zero tangent in the other."""
        before = dict(self.dots)
        first, left = self.block(yes), self.dots
        self.dots = before
        second, right = self.block(no), self.dots
        goes_on = [(lines, dots) for lines, dots in ((first, left), (second, right)) if not _ends(lines)]
        self.dots = {n: d for _, dots in goes_on for n, d in dots.items()}
        for lines, dots in goes_on:
            lines += [_set(f"dot_{n}", ast.Constant(0.0)) for n in self.dots if n not in dots]
        self.lines.append(ast.If(test, first or [ast.Pass()], second))

    # expressions

    def several(self, e: ast.expr) -> tuple[list[ast.expr], list[Dot]]:
        """Values and tangents of an expression that may be a tuple."""
        if isinstance(e, ast.Tuple):
            pairs = [self.expression(x) for x in e.elts]
            return [v for v, _ in pairs], [d for _, d in pairs]
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in self.sources:
            return self.call(e)
        value, dot = self.expression(e)
        return [value], [dot]

    def expression(self, e: ast.expr) -> tuple[ast.expr, Dot]:
        """Value (cheap to repeat where the tangent is not None) and tangent of a scalar expression."""
        if isinstance(e, (ast.Name, ast.Attribute)):
            return e, self.dots.get(self.key(e))
        if isinstance(e, ast.Constant):
            return e, None
        if isinstance(e, ast.BinOp):
            return self.operation(e)
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, (ast.USub, ast.UAdd)):
            value, dot = self.expression(e.operand)
            return ast.UnaryOp(e.op, value), None if dot is None else ast.UnaryOp(e.op, dot)
        if isinstance(e, ast.IfExp):
            return self.choice(e)
        if isinstance(e, ast.Call):
            return self.scalar_call(e)
        if isinstance(e, (ast.Compare, ast.BoolOp)):
            return e, None
        raise _Unknown

    def key(self, e: ast.Name | ast.Attribute) -> str:
        """Name under which the tangent of a variable is kept."""
        if isinstance(e, ast.Attribute):
            if not isinstance(e.value, ast.Name):
                raise _Unknown
            return f"{e.value.id}.{e.attr}"
        if any(s.startswith(f"{e.id}.") for s in self.seeds):
            raise _Unknown  # the whole bundle is handed on
        return e.id

    def operation(self, e: ast.BinOp) -> tuple[ast.expr, Dot]:
        """Sum, difference, product, quotient, power."""
        (a, da), (b, db) = self.expression(e.left), self.expression(e.right)
        if da is None and db is None:
            return ast.BinOp(a, e.op, b), None
        if isinstance(e.op, (ast.Add, ast.Sub)):
            return self.keep(ast.BinOp(a, e.op, b)), _sum(da, db, e.op)
        if isinstance(e.op, ast.Mult):
            return self.keep(ast.BinOp(a, e.op, b)), _sum(_times(da, b), _times(db, a), ast.Add())
        if isinstance(e.op, ast.Div):
            value = self.keep(ast.BinOp(a, e.op, b))
            change = _sum(da, _times(db, value), ast.Sub())
            assert change is not None
            return value, self.keep(ast.BinOp(change, ast.Div(), b))
        if isinstance(e.op, ast.Pow) and db is None:
            value = self.keep(ast.BinOp(a, e.op, b))
            return value, _times(da, _power_slope(a, b))
        raise _Unknown

    def choice(self, e: ast.IfExp) -> tuple[ast.expr, Dot]:
        """``a if test else b``, evaluated in branches, for one of them may not be defined where the other is taken."""
        name = self.fresh()
        self.branch(e.test, [ast.Assign([_target(name)], e.body)], [ast.Assign([_target(name)], e.orelse)])
        return _name(name), self.dots.get(name)

    def scalar_call(self, e: ast.Call) -> tuple[ast.expr, Dot]:
        """A function of ``math``, a builtin, or an embedded function with one value."""
        if e.keywords:
            raise _Unknown
        if isinstance(e.func, ast.Name) and e.func.id in self.sources:
            values, dots = self.call(e)
            if len(values) != 1:
                raise _Unknown
            return values[0], dots[0]
        pairs = [self.expression(a) for a in e.args]
        given = [v for v, _ in pairs]
        if all(d is None for _, d in pairs):
            return ast.Call(e.func, given, []), None
        name = e.func.attr if isinstance(e.func, ast.Attribute) else e.func.id if isinstance(e.func, ast.Name) else ""
        if name in SLOPES:
            a = self.keep(given[0])
            value = self.keep(ast.Call(e.func, [a], []))
            slope = SLOPES[name].format(v=ast.unparse(value), a=ast.unparse(a))
            return value, _times(pairs[0][1], ast.parse(slope, mode="eval").body)
        if name == "float" and len(pairs) == 1:
            return pairs[0]
        if name in ("abs", "fabs"):
            a = self.keep(given[0])
            return self.choice(ast.IfExp(ast.Compare(a, [ast.Lt()], [ast.Constant(0.0)]), ast.UnaryOp(ast.USub(), e.args[0]), e.args[0]))
        if name in ("min", "max") and len(pairs) == 2:
            test = ast.Compare(given[0], [ast.LtE() if name == "min" else ast.GtE()], [given[1]])
            return self.choice(ast.IfExp(test, e.args[0], e.args[1]))
        if name == "pow" and len(pairs) == 2:
            return self.operation(ast.BinOp(e.args[0], ast.Pow(), e.args[1]))
        raise _Unknown

    def call(self, e: ast.Call) -> tuple[list[ast.expr], list[Dot]]:
        """An embedded function: its own derivative along the speeds of those of its arguments that move."""
        assert isinstance(e.func, ast.Name)
        names = arguments_of(self.sources[e.func.id])
        if e.keywords or len(names) != len(e.args):
            raise _Unknown
        pairs = [self.expression(a) for a in e.args]
        moving = {name: d for name, (_, d) in zip(names, pairs, strict=True) if d is not None}
        inner = _Rewriter(e.func.id, tuple(moving), self.sources).run()
        names = [self.fresh() for _ in range(inner.values + len(inner.active))]
        target = ast.Tuple([_target(n) for n in names], ast.Store())
        self.lines.append(ast.Assign([target], ast.Call(_name(inner.name), [*(v for v, _ in pairs), *moving.values()], [])))
        dots: list[Dot] = [None] * inner.values
        for k, n in zip(inner.active, names[inner.values :], strict=True):
            dots[k] = _name(n)
        return [_name(n) for n in names[: inner.values]], dots

    # text

    def fresh(self) -> str:
        """A name that the source does not use."""
        self.count += 1
        return f"ad_{self.count}"

    def put(self, name: str, value: ast.expr) -> None:
        """Emit an assignment."""
        self.lines.append(_set(name, value))

    def keep(self, value: ast.expr) -> ast.expr:
        """The value in a name of its own, unless it is one already."""
        if isinstance(value, (ast.Name, ast.Attribute, ast.Constant)):
            return value
        name = self.fresh()
        self.put(name, value)
        return _name(name)


def _ends(lines: Sequence[ast.stmt]) -> bool:
    """Whether a block returns in its last statement."""
    return bool(lines) and isinstance(lines[-1], ast.Return)


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _target(text: str) -> ast.Name:
    return ast.Name(text, ast.Store())


def _set(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([_target(name)], value)


def _times(dot: Dot, factor: ast.expr) -> Dot:
    """Product of a tangent and a factor; a tangent of one is left out."""
    if dot is None:
        return None
    if isinstance(dot, ast.Constant) and dot.value == 1.0:
        return factor
    return ast.BinOp(dot, ast.Mult(), factor)


def _sum(a: Dot, b: Dot, op: ast.operator) -> Dot:
    """Sum or difference of two tangents."""
    if b is None:
        return a
    if a is None:
        return ast.UnaryOp(ast.USub(), b) if isinstance(op, ast.Sub) else b
    return ast.BinOp(a, op, b)


def _power_slope(a: ast.expr, b: ast.expr) -> ast.expr:
    """Derivative of ``a ** b`` with respect to a: small whole powers stay products."""
    if isinstance(b, ast.Constant) and b.value == 2:
        return ast.BinOp(ast.Constant(2.0), ast.Mult(), a)
    if isinstance(b, ast.Constant) and isinstance(b.value, int):
        return ast.BinOp(ast.Constant(float(b.value)), ast.Mult(), ast.BinOp(a, ast.Pow(), ast.Constant(b.value - 1)))
    return ast.BinOp(b, ast.Mult(), ast.BinOp(a, ast.Pow(), ast.BinOp(b, ast.Sub(), ast.Constant(1.0))))
