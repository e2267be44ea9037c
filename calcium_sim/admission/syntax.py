"""The allow-list for the code of a TorchScript archive: names, types, constants and operators; see `code`."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, field

from .pickles import Refused
from .strict import shown

OPERATORS = frozenset(
    """linear matmul mm bmm addmm add sub rsub mul div neg abs pow reciprocal square exp expm1 log log10 log1p asinh sqrt tanh sigmoid
    relu softplus gelu silu elu leaky_relu hardtanh erf sin cos tan atan clamp clamp_min clamp_max minimum maximum where cat stack unsqueeze
    squeeze slice select split chunk unbind reshape view transpose t permute sum mean layer_norm zeros_like ones_like dim size append len
    eq ne lt le gt ge __not__ __is__ __isnot__ silu_ relu_ elu_ hardtanh_ leaky_relu_""".split()  # noqa: SIM905 (a list literal would take a page)
)
KEYWORDS = frozenset({"alpha", "dtype", "rounding_mode", "approximate"})
CONVERSIONS = frozenset({"int", "float", "bool", "len"})
RESERVED = (
    frozenset({"torch", "ops", "CONSTANTS", "getattr", "annotate", "unchecked_cast", "uninitialized", "inf", "nan", "fork"}) | CONVERSIONS
)
SIMPLE_TYPES = frozenset({"Tensor", "int", "float", "bool", "str", "NoneType"})
MAX_CODE, MAX_DEPTH, MAX_COST = 2 * 1024 * 1024, 80, 100_000
MAX_WORDS = 80_000
"""Names, numbers, texts and signs in all code, counted before any of it is parsed: a syntax tree takes a hundred times as much as its text.
4000 operations written out are about 50 000."""
ADVICE = "write the file with export_channel, or write the cell out with linear and elementwise functions"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")

Type = tuple["str | Type", ...]
"""A declared type: ("Tensor",), ("Optional", inner), ("List", inner), ("Tuple", ...), ("Final", inner), ("class", name)."""


@dataclass
class Class:
    """A module class of the archive: attributes with declared types, constants (not stored in the pickle), methods."""

    name: str
    attributes: dict[str, Type] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)


@dataclass
class Code:
    """All classes and functions of an archive, by qualified name, and the admitted text of each file."""

    classes: dict[str, Class] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    constants: int = 0


def fail(node: ast.AST, where: str, what: str) -> Refused:
    """A refusal that names the place and the line."""
    return Refused(f"{shown(where)} line {getattr(node, 'lineno', '?')}: {what}")


def ordinary(name: str, node: ast.AST, where: str) -> str:
    """Return a name that is neither reserved nor starts with two underscores."""
    if not _PLAIN.fullmatch(name) or name.startswith("__") or name in RESERVED:
        raise fail(node, where, f"name '{shown(name, 40)}' is not permitted here")
    return name


def parse_type(node: ast.expr | None, where: str) -> Type:
    """Read a declared type."""
    if isinstance(node, ast.Name) and node.id in SIMPLE_TYPES:
        return (node.id,)
    if isinstance(node, ast.Constant) and node.value is None:
        return ("NoneType",)
    if isinstance(node, ast.Attribute) and (name := dotted_name(node)).startswith("__torch__."):
        return ("class", name)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        outer = node.value.id
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if (outer == "Tuple" and inner) or (outer in ("Optional", "List", "Final") and len(inner) == 1):
            return (outer, *(parse_type(i, where) for i in inner))
    raise fail(node or ast.Pass(), where, "a type that is not permitted (Tensor, int, float, bool, str, Optional, List, Tuple)")


def check_classes(declared: Type, code: Code, where: str) -> None:
    """Refuse types that name a class outside the archive, or a module inside a container."""
    if declared[0] == "class":
        if declared[1] not in code.classes:
            raise Refused(f"{shown(where)}: class '{shown(declared[1])}' is not in the archive")
        return
    for inner in declared[1:]:
        if isinstance(inner, tuple):
            if has_class(inner):
                raise Refused(f"{shown(where)}: a module inside a container type is not permitted")
            check_classes(inner, code, where)


def has_class(declared: Type) -> bool:
    """Whether a module class occurs in a type."""
    return declared[0] == "class" or any(isinstance(i, tuple) and has_class(i) for i in declared[1:])


def dotted_name(node: ast.expr) -> str:
    """The text of ``a.b.c``, or "?" of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *parts[::-1]]) if isinstance(node, ast.Name) else "?"


def literal(node: ast.expr, where: str) -> object:
    """The value of a literal: text, number, truth value, None, or a tuple or list of these."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return [literal(item, where) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
        if not isinstance(node, ast.Constant) or isinstance(node.value, (bool, str)):
            raise fail(node, where, "a minus sign before something that is not a number")
    if not isinstance(node, ast.Constant):
        raise fail(node, where, f"{type(node).__name__} where a constant is expected")
    value = node.value
    if isinstance(value, str):
        if len(value) > 300 or not value.isprintable() or "'" in value or '"' in value:
            raise fail(node, where, "text that is long or has quotes")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise fail(node, where, "a number that is not finite")
    elif isinstance(value, int):
        if abs(value) >= 2**63:
            raise fail(node, where, "a whole number of more than 64 bits")
    elif value is not None:
        raise fail(node, where, f"a constant of type {type(value).__name__}")
    return value
