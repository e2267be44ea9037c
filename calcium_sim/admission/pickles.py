"""Examines the pickles of a TorchScript archive by their opcodes, without ever unpickling them.

A small abstract machine follows the stack, so that not only the names are known, but also what each call is applied to: a tensor
must lie inside a storage that the archive holds, an object must be of an admitted class and carry exactly the declared attributes.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .strict import shown

ITEM_BYTES = {"FloatStorage": 4, "DoubleStorage": 8, "LongStorage": 8, "BoolStorage": 1}
BUILDERS = {
    "build_intlist": "List[int]",
    "build_doublelist": "List[float]",
    "build_boollist": "List[bool]",
    "build_tensorlist": "List[Tensor]",
}
MAX_WEIGHT, MAX_DEPTH, MAX_DIMENSIONS = 200_000, 60, 8
MAX_BYTES, MAX_STEPS = 4 * 1024 * 1024, 100_000
"""Of a pickle: a network of a thousand tensors takes 0.1 MB and 20 000 opcodes. So no more than a second and 0.1 GB go into reading one."""
_CLASS = re.compile(r"__torch__(\.[A-Za-z_][A-Za-z0-9_]*)*")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_]{1,100}")


class Refused(Exception):
    """A rule was broken; the message says which."""


@dataclass(frozen=True)
class Global:
    """A name that the pickle refers to."""

    module: str
    name: str


@dataclass(frozen=True)
class Storage:
    """A block of numbers of the archive."""

    kind: str
    items: int


class Node:
    """A container, object or tensor, with the size it would have if every reference were written out."""

    __slots__ = ("built", "closed", "cls", "depth", "items", "kind", "weight")

    def __init__(self, kind: str, items: Any = (), cls: str = "") -> None:
        self.kind, self.items, self.cls, self.built, self.closed = kind, items, cls, False, True
        self.weight, self.depth = 1, 1

    def grow(self, *values: Any) -> None:
        """Account for contents."""
        self.weight += sum(v.weight if isinstance(v, Node) else 1 for v in values)
        self.depth = max([self.depth, *(v.depth + 1 for v in values if isinstance(v, Node))])
        if self.weight > MAX_WEIGHT or self.depth > MAX_DEPTH:
            raise Refused("structure is too large or nested too deeply")


def examine(data: bytes, storages: Mapping[str, bytes]) -> Any:
    """Follow a pickle and return what it describes: plain values, tuples as `Node`, objects and tensors as `Node`.

    Parameters
    ----------
    data : the pickle.
    storages : contents of the storages by key.

    Raises
    ------
    Refused
        At the first opcode or operand that honest files do not have.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"{len(data)} bytes, expected at most {MAX_BYTES}")
    machine = _Machine(storages)
    for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
        if count >= MAX_STEPS:
            raise Refused(f"more than {MAX_STEPS} opcodes")
        step = _STEPS.get(opcode.name)
        if step is None:
            raise Refused(f"opcode {opcode.name} at byte {position} is not permitted")
        step(machine, argument)
        if opcode.name == "STOP":
            if position is None or position + 1 != len(data):
                raise Refused("data after the end of the pickle")
            break
    if machine.marks or machine.stack:
        raise Refused("unbalanced stack")
    return machine.result


class _Machine:
    def __init__(self, storages: Mapping[str, bytes]) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None
        self.memo_limit = 100_000

    def pop(self) -> Any:
        if not self.stack:
            raise Refused("stack underflow")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise Refused("mark missing")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        if len(self.marks) > 4 * MAX_DEPTH:
            raise Refused("nested too deeply")
        self.marks.append(self.stack)
        self.stack = []

    def top(self, kind: str) -> Node:
        if not self.stack or not isinstance(self.stack[-1], Node) or self.stack[-1].kind != kind or self.stack[-1].closed:
            raise Refused(f"no open {kind} to fill")
        return self.stack[-1]

    def container(self, kind: str, items: list[Any]) -> None:
        node = Node(kind, items)
        node.grow(*items)
        self.stack.append(node)

    def open(self, kind: str) -> None:
        node = Node(kind, [])
        node.closed = False
        self.stack.append(node)

    def put(self, index: int) -> None:
        if not self.stack or index > self.memo_limit:
            raise Refused("memo index out of range")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise Refused("memo entry missing")
        value = self.memo[index]
        if isinstance(value, Node) and (value.kind in ("list", "dict") or (value.kind == "object" and not value.built)):
            raise Refused("a reference to an unfinished object")
        self.stack.append(value)

    def fill(self, kind: str, values: list[Any]) -> None:
        node = self.top(kind)
        if kind == "dict" and (len(values) % 2 or not all(isinstance(k, str) for k in values[::2])):
            raise Refused("a dictionary whose keys are not text")
        node.items.extend(values)
        node.grow(*values)

    def fill_marked(self, kind: str) -> None:
        values = self.pop_mark()
        self.fill(kind, values)

    def build(self) -> None:
        state = self.pop()
        if not isinstance(state, Node) or state.kind != "dict" or not self.stack:
            raise Refused("an object that is not built from a dictionary")
        target = self.stack[-1]
        if not isinstance(target, Node) or target.kind != "object" or target.built:
            raise Refused("a state for something that is not a fresh object")
        names = state.items[::2]
        if len(set(names)) != len(names) or not all(_ATTRIBUTE.fullmatch(n) for n in names):
            raise Refused(f"object of {target.cls} with odd or repeated attribute names")
        target.items, target.built = dict(zip(names, state.items[1::2], strict=True)), True
        target.grow(state)

    def new_object(self) -> None:
        arguments, cls = self.pop(), self.pop()
        if not isinstance(cls, Global) or not cls.module.startswith("__torch__") or not _empty(arguments):
            raise Refused("an object of something that is not a class of the archive")
        self.stack.append(Node("object", cls=f"{cls.module}.{cls.name}"))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Global) or not isinstance(arguments, Node) or arguments.kind != "tuple":
            raise Refused("a call of something that is not a name")
        self.stack.append(self._call(function, arguments.items))

    def _call(self, function: Global, arguments: list[Any]) -> Node:
        if function == Global("collections", "OrderedDict") and not arguments:
            return Node("ordered")
        if function == Global("torch._utils", "_rebuild_tensor_v2"):
            return _tensor(arguments)
        if function.module == "torch.jit._pickle" and function.name in BUILDERS and len(arguments) == 1:
            node = Node("typed-list", arguments[0].items if _is(arguments[0], "list") else None, BUILDERS[function.name])
            if node.items is not None:
                node.grow(*node.items)
                return node
        raise Refused(f"call of {shown(function.module)}.{shown(function.name)} with these arguments is not permitted")

    def persistent(self) -> None:
        row = self.pop()
        items = row.items if _is(row, "tuple") else []
        if len(items) != 5 or items[0] != "storage" or not isinstance(items[1], Global) or items[3] != "cpu":
            raise Refused("a persistent id that is not a storage in main memory")
        kind, key, count = items[1].name, items[2], items[4]
        if items[1].module != "torch" or kind not in ITEM_BYTES or not isinstance(key, str) or type(count) is not int:
            raise Refused("a persistent id that is not a storage in main memory")
        if key not in self.storages or len(self.storages[key]) != count * ITEM_BYTES[kind]:
            raise Refused(f"storage '{shown(key, 20)}' is missing or has another size than declared")
        self.stack.append(Storage(kind, count))

    def name(self, argument: str) -> None:
        module, _, name = argument.rpartition(" ")
        found = Global(module, name)
        honest = (
            found in (Global("collections", "OrderedDict"), Global("torch._utils", "_rebuild_tensor_v2"))
            or (module == "torch" and name in ITEM_BYTES)
            or (module == "torch.jit._pickle" and name in BUILDERS)
            or bool(_CLASS.fullmatch(module) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name))
        )
        if not honest:
            raise Refused(f"global {shown(module)}.{shown(name)} is not permitted")
        self.stack.append(found)

    def integer(self, value: int) -> None:
        if not -(2**63) <= value < 2**63:
            raise Refused("a whole number of more than 64 bits")
        self.stack.append(value)

    def text(self, value: str) -> None:
        if len(value) > 1000 or not value.isascii() or not value.isprintable():
            raise Refused("text that is long or not plain ASCII")
        self.stack.append(value)

    def protocol(self, value: int) -> None:
        if value != 2 or self.stack or self.marks:
            raise Refused(f"pickle protocol {value}, expected 2 at the start")

    def stop(self) -> None:
        self.result = self.pop()


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, Node) and value.kind == kind


def _empty(value: Any) -> bool:
    return _is(value, "tuple") and not value.items


def _tensor(arguments: list[Any]) -> Node:
    if len(arguments) != 6:
        raise Refused("a tensor with other arguments than usual")
    storage, offset, size, stride, grad, hooks = arguments
    plain = (
        isinstance(storage, Storage) and _is(size, "tuple") and _is(stride, "tuple") and isinstance(grad, bool) and _is(hooks, "ordered")
    )
    if not plain or type(offset) is not int or len(size.items) != len(stride.items) or len(size.items) > MAX_DIMENSIONS:
        raise Refused("a tensor with other arguments than usual")
    numbers = [offset, *size.items, *stride.items]
    if any(type(n) is not int or n < 0 for n in numbers):
        raise Refused("a tensor with a negative or odd size")
    count = math.prod(size.items)
    last = offset + sum((n - 1) * step for n, step in zip(size.items, stride.items, strict=True)) if count else offset
    if count > storage.items or last >= max(storage.items, 1):
        raise Refused("a tensor that reaches beyond its storage")
    return Node("tensor", cls=storage.kind)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        machine.container("tuple", [machine.pop() for _ in range(count)][::-1])

    return step


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda m, a: m.protocol(a),
    "GLOBAL": lambda m, a: m.name(a),
    "BINPUT": lambda m, a: m.put(a),
    "LONG_BINPUT": lambda m, a: m.put(a),
    "BINGET": lambda m, a: m.get(a),
    "LONG_BINGET": lambda m, a: m.get(a),
    "MARK": lambda m, _: m.mark(),
    "EMPTY_TUPLE": lambda m, _: m.container("tuple", []),
    "TUPLE": lambda m, _: m.container("tuple", m.pop_mark()),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_LIST": lambda m, _: m.open("list"),
    "APPEND": lambda m, _: m.fill("list", [m.pop()]),
    "APPENDS": lambda m, _: m.fill_marked("list"),
    "EMPTY_DICT": lambda m, _: m.open("dict"),
    "SETITEM": lambda m, _: m.fill("dict", [m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.fill_marked("dict"),
    "NEWOBJ": lambda m, _: m.new_object(),
    "BUILD": lambda m, _: m.build(),
    "REDUCE": lambda m, _: m.reduce(),
    "BINPERSID": lambda m, _: m.persistent(),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "NONE": lambda m, _: m.stack.append(None),
    "BININT": lambda m, a: m.integer(a),
    "BININT1": lambda m, a: m.integer(a),
    "BININT2": lambda m, a: m.integer(a),
    "LONG1": lambda m, a: m.integer(a),
    "BINFLOAT": lambda m, a: m.stack.append(a),
    "BINUNICODE": lambda m, a: m.text(a),
    "STOP": lambda m, _: m.stop(),
}
