"""Machine code of generated text, called through its address: what calls it neither contains nor optimises it, and is compiled once.

`addresses` translates functions of a text (see `native`), or takes what an earlier run has kept; `run` calls them from compiled functions,
`callable_of` makes them functions of Python.
Without JIT (NUMBA_DISABLE_JIT=1) the functions of the text itself stand for their addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .compiled import cfunc, keep, kept, njit, short
from .folder import DIGEST
from .native import WHOLE, Kernel, Unit, Unsupported
from .network import NET

COMPILED = not config.DISABLE_JIT
_LIBRARIES: dict[str, tuple[Any, tuple[int, ...]]] = {}
"""Libraries by what they are made for, with the addresses of their functions: code lives as long as its library."""


def addresses(text: str, entries: Sequence[Kernel]) -> tuple[int, ...]:
    """Where the machine code of every entry of a text begins; the entries are the functions that are compiled on their own.

    Raises
    ------
    native.Unsupported
        If the text holds what is not translated.
    """
    if not entries:
        return ()
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        told = [(e.name, *e.arguments) for e in entries]
        identity = repr((DIGEST, hashlib.sha256(text.encode()).hexdigest(), told, codegen.magic_tuple()))
        if identity not in _LIBRARIES:
            symbol = f"calcium_sim_{short(identity)}"
            name = f"site-{short(identity)}"
            library = kept(name, identity, codegen.unserialize_library)
            if library is None:
                library = _translated(codegen, text, entries, symbol)
                keep(name, identity, library.serialize_using_object_code())
            _LIBRARIES[identity] = library, tuple(library.get_pointer_to_function(f"{symbol}_{e.name}") for e in entries)
        return _LIBRARIES[identity][1]


def _translated(codegen: Any, text: str, entries: Sequence[Kernel], symbol: str) -> Any:
    module, library = codegen._create_empty_module(symbol), codegen.create_library(symbol)
    library.enable_object_caching()
    try:
        unit = Unit(text, module, {e.name: e for e in entries}, symbol)
        for e in entries:
            unit.function(e.name)
        library.add_ir_module(module)
    except Unsupported:
        raise
    except Exception as error:  # a fault of ours costs time, no run: numba understands more
        raise Unsupported(f"{type(error).__name__}: {error}") from error
    library.finalize()
    return library


def wrapper(kernel: Kernel) -> str:
    """Text of the function ``entry_<name>``, which takes pointers, as machine code does, and calls ``<name>`` with arrays."""
    shapes = {
        "row": "({0}, {1})",
        "matrix": "({0}, ({1}, {0}_length))",
        "networks": f"({{0}}, ({{1}}, {len(NET)}))",
    }  # nothing asks how many rows there are
    names = [name for name, _ in kernel.arguments]
    lengths = [f"{name}_length" for name, kind in kernel.arguments if kind == "matrix"]
    given = [f"carray{shapes[kind].format(name, 1 << 40)}" if kind in shapes else name for name, kind in kernel.arguments]
    head = f"def entry_{kernel.name}({', '.join([*names, *lengths])}):"
    return f"\n\n{head}\n    return {kernel.name}({', '.join(given)})\n"


def by_numba(function: Any, kernel: Kernel) -> int:
    """The address of a `wrapper` that numba has compiled; kept on disk as all else."""
    values, numbers = types.CPointer(types.float64), types.CPointer(types.int64)
    kinds = {"double": types.float64, "whole": types.int64, "row": values, "matrix": values, "networks": numbers}
    lengths = [types.int64 for _, kind in kernel.arguments if kind == "matrix"]
    signature = types.int64(*(kinds[kind] for _, kind in kernel.arguments), *lengths)
    made = cfunc(signature, function, error_model="numpy")
    _LIBRARIES[f"{function.__module__}.{kernel.name}"] = made, (int(made.address),)
    return int(made.address)


@intrinsic
def _run(typing: Any, code: Any, arguments: Any) -> Any:
    """Call the code at an address with a tuple of C-contiguous arrays, whole numbers and doubles; its whole number.

    A matrix is handed over as its pointer, and the lengths of the rows of all matrices come last.
    """
    kinds = tuple(arguments)
    if not all(isinstance(k, types.Float | types.Integer) or (isinstance(k, types.Array) and k.layout == "C") for k in kinds):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, lengths = [], []
        for k, value in zip(kinds, cgutils.unpack_tuple(builder, args[1]), strict=True):
            if isinstance(k, types.Array):
                array = context.make_array(k)(context, builder, value)
                values.append(array.data)
                lengths += [cgutils.unpack_tuple(builder, array.shape)[1]] if k.ndim == 2 and k.dtype == types.float64 else []
            else:
                to = types.float64 if isinstance(k, types.Float) else types.int64
                values.append(context.cast(builder, value, k, to))
        kind = ir.FunctionType(WHOLE, [v.type for v in [*values, *lengths]])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [*values, *lengths])

    return types.int64(types.int64, arguments), generate


run: Any = (lambda code, arguments: code(*arguments)) if not COMPILED else _run


@njit(cache=True, nogil=True)
def _called(site, arguments):
    """`run`: numba hands over twenty arguments in 5 us, ctypes in 20."""
    return run(site, arguments)


def callable_of(site: Any, kernel: Kernel) -> Callable[..., int]:
    """`run` from Python: a function whose arguments are compared with the kernel's when it is called first (a text says it itself)."""
    same = not COMPILED

    def call(*arguments: Any) -> int:
        nonlocal same
        if not same:
            for (name, kind), a in zip(kernel.arguments, arguments, strict=True):
                arrays = ("row",) if np.ndim(a) == 1 else ("matrix", "networks")
                fits = {"double": isinstance(a, float), "whole": isinstance(a, int | np.integer)}.get(kind, kind in arrays)
                assert fits, f"{kernel.name}.{name} is {kind}, not {type(a).__name__}"
            same = True
        return int(_called(site, arguments) if COMPILED else site(*arguments))

    return call
