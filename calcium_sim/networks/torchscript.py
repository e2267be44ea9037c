"""All that touches torch: loading an admitted network, checking its graphs, calling it, and writing one. Torch is imported on first use.

TorchScript is deprecated upstream; exactly its deprecation warnings are silenced here, and nowhere else.
"""

from __future__ import annotations

import copy
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..admission.admit import Admitted
from ..admission.card import FORMAT, MEMBER, VERSION, Card, card_from
from ..admission.strict import shown
from ..admission.syntax import ADVICE, OPERATORS
from ..errors import InputError
from . import handed
from .inputs import Array, Columns, Evaluate, check_outputs, check_rows, sample
from .rowwise import check_rowwise
from .straight.values import Unwritable

BLOCK = 1024
"""Rows per call: a row's last bits depend on the rows around it, so blocks have one fixed size, the last one padded."""

_PLAIN = {"Int", "Float", "Bool", "len", "__getitem__"}
_PRIM = """Constant ListConstruct TupleConstruct ListUnpack TupleUnpack TupleIndex If GetAttr ConstantChunk unchecked_cast"""
KINDS = frozenset({*(f"aten::{name}" for name in OPERATORS | _PLAIN), *(f"prim::{name}" for name in _PRIM.split())})


def load_module(admitted: Admitted) -> Any:
    """Load the bytes of an admitted archive, check the graph of every method, and return the frozen module.

    Raises
    ------
    InputError
        If torch cannot read it, or a graph has an operation outside the allow-list.
    """
    torch = _torch()
    with _quiet():
        try:
            module = torch.jit.load(io.BytesIO(admitted.archive), map_location="cpu").eval()
            if not admitted.trusted:
                _check_graphs(module, admitted.source)
            return torch.jit.freeze(module)
        except InputError:
            raise
        except Exception as error:  # torch raises many kinds, all mean that this file cannot be used
            raise InputError(admitted.source, f"torch {torch.__version__} cannot load it: {_first_line(error)}") from None


def evaluate(module: Any, columns: Columns, block: int = BLOCK) -> tuple[Array, ...]:
    """Call a network on rows in blocks of fixed size, on one thread; return one array ``[N, k]`` per output.

    Parameters
    ----------
    module : what `load_module` returned.
    columns : inputs, see `Columns`; they are copied, never changed.
    """
    n = len(columns.x)
    if n == 0:
        return call(module, columns.copy())
    torch = _torch()
    with _one_thread(torch), torch.inference_mode():
        parts = [_invoke(torch, module, columns.rows(start, min(start + block, n), block)) for start in range(0, n, block)]
    return tuple(np.concatenate(column)[:n] for column in zip(*parts, strict=True))


def call(module: Any, columns: Columns) -> tuple[Array, ...]:
    """Call a network once on all rows, sharing the memory of `columns`."""
    torch = _torch()
    with _one_thread(torch), torch.inference_mode():
        return _invoke(torch, module, columns)


def _invoke(torch: Any, module: Any, columns: Columns) -> tuple[Array, ...]:
    arguments = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in columns.arguments()]
    try:
        out = module(*arguments)
    except Exception as error:  # torch raises many kinds
        raise InputError("network", f"fails on {len(columns.x)} rows: {_first_line(error)}") from None
    tensors = out if isinstance(out, tuple) else (out,)
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor) or tensor.device.type != "cpu" or tensor.layout != torch.strided:
            raise InputError("network", f"returns {type(tensor).__name__}, expected tensors in main memory")
    return tuple(tensor.detach().numpy() for tensor in tensors)


def inlined_graph(module: Any) -> Any:
    """A copy of a module's graph with every call of a method written out."""
    graph = module.graph.copy()
    _torch()._C._jit_pass_inline(graph)
    return graph


def operator(name: str) -> Any:
    """The ``aten`` operator of this name."""
    return getattr(_torch().ops.aten, name)


def check_module(module: Any, admitted: Admitted, where: str) -> None:
    """Try a network on 0, 1, 7 and 1000 rows and on blocks, see `inputs.check_outputs`; and show that it keeps rows apart.

    Raises
    ------
    InputError
        If it breaks its card, or a row's result depends on other rows.
    """
    card, sha256 = admitted.card, admitted.sha256
    try:
        if not admitted.trusted:
            _check_rows(module, card, where)
        for check in (check_outputs, check_rows):
            check(card, lambda columns: call(module, columns), where, sha256)
            check(card, lambda columns: evaluate(module, columns), where, sha256)
    except InputError as error:
        if error.where == "network":
            raise InputError(where, f"the network {error.message}") from None
        raise


def serve() -> None:
    """The child process of `trial.probe`: read a network from stdin, try it under limits, write the verdict to stdout."""
    source, out = sys.stdin.buffer, sys.stdout.buffer
    header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
    archive = source.read()
    card = card_from(header["card"])
    _warm_up(card)
    _limit(int(header["memory"]), float(header["seconds"]))
    out.write(b"ready\n")
    out.flush()
    try:
        admitted = Admitted(archive, header["sha256"], card, header["source"], bool(header["trusted"]))
        check_module(load_module(admitted), admitted, "")
        verdict: dict[str, Any] = {"ok": True}
    except InputError as error:
        verdict = {"error": error.message}
    except Exception as error:  # whatever it is, the network has not passed
        verdict = {"error": f"{type(error).__name__} {_first_line(error)}"}
    out.write(json.dumps(verdict).encode() + b"\n")
    out.flush()


def script(module: Any, card: Card, where: str) -> bytes:
    """Turn a ``torch.nn.Module`` into the bytes of a frozen TorchScript archive that holds the card.

    The module itself is not changed. Where ``torch.jit.script`` cannot read it (a class typed at a prompt, a lambda), it is traced at two
    batch sizes. What is saved is the network written out as one list of operations, see `straight`.
    """
    torch = _torch()
    with _quiet():
        fresh = _fresh(torch, module, card, where)
        try:
            from .straight.write import straightened  # what most runs do without

            frozen, coarse = straightened(torch, _frozen(torch, fresh, card, where), widths(card), getattr(torch, card.dtype))
        except Unwritable as error:
            raise InputError(where, f"refused: {error}{_meets(card, str(error))}") from None
        except (InputError, MemoryError):
            raise
        except Exception as error:  # torch raises many kinds
            raise InputError(where, f"the module cannot be written out: {type(error).__name__} {_first_line(error)}") from None
        _compare(fresh, module, frozen, card, where, coarse)
        stream = io.BytesIO()
        torch.jit.save(frozen, stream, _extra_files={MEMBER: card.json()})
    return stream.getvalue()


def evaluator(module: Any, card: Card, where: str) -> Evaluate:
    """A ``torch.nn.Module`` as a function of columns, in the card's precision; the module is not changed."""
    fresh = _fresh(_torch(), module, card, where)

    def outputs(columns: Columns) -> tuple[Array, ...]:
        try:
            return evaluate(fresh, columns)
        except InputError as error:
            raise InputError(where, f"the network {error.message}") from None

    return outputs


def network(given: Any) -> Any:
    """The module inside what was handed over, see `handed.network`."""
    return handed.network(_torch(), given)


def forward_arguments(module: Any) -> tuple[str, ...]:
    """Names of the arguments of ``forward``."""
    return handed.forward_arguments(_torch(), module)


def dtype_of(module: Any) -> str:
    """ "float64" if any number of the module is, otherwise "float32"."""
    return handed.dtype_of(_torch(), module)


def widths(card: Card) -> dict[str, int | None]:
    """Columns of each argument of a network; None of a number."""
    known = {"s": len(card.states), "x": len(card.inputs), "dx": len(card.inputs), "dt": None}
    return {a: known[a] for a in card.args}


def _fresh(torch: Any, module: Any, card: Card, where: str) -> Any:
    """A copy in evaluation, in the card's precision."""
    try:
        with torch.no_grad():  # a copy of a traced module would be a step of a computation, whose gradients cannot be switched off
            fresh = copy.deepcopy(module)
            fresh = fresh.eval() if hasattr(fresh, "training") else fresh  # a frozen module has no such switch any more
            fresh = fresh.to("cpu").to(getattr(torch, card.dtype))
    except Exception as error:  # torch raises many kinds
        raise InputError(where, f"the module cannot be copied: {_first_line(error)}") from None
    for parameter in fresh.parameters():
        parameter.requires_grad_(False)
    return fresh


def _frozen(torch: Any, fresh: Any, card: Card, where: str) -> Any:
    if isinstance(fresh, torch.jit.ScriptModule):
        return torch.jit.freeze(fresh) if hasattr(fresh, "training") else fresh
    try:
        return torch.jit.freeze(torch.jit.script(fresh))
    except Exception as error:  # torch raises many kinds
        try:
            return _trace(fresh, card, where)
        except InputError as second:
            if isinstance(error, OSError):
                raise
            fix = "; a tensor is taken apart with unbind: a, b = x.unbind(1)" if "cannot be used as a tuple" in str(error) else ""
            told = f"{_last_line(error)} (and traced: {second.message}{fix})"
            raise InputError(where, f"torch.jit.script refuses the module: {told}") from None


def _meets(card: Card, said: str) -> str:
    """What columns the card gives, where a layer was made for another number of them."""
    found = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", said)
    if not found:
        return ""
    ports = ", ".join(c.port for c in card.inputs)
    columns = {"s": f"s of {len(card.states)} ({', '.join(s.name for s in card.states)})", "x": f"x of {len(card.inputs)} ({ports})"}
    columns["dx"] = f"dx of {len(card.inputs)}"
    given = ", ".join(columns[a] for a in card.args if a in columns)
    return f": a layer that expects {found[2]} columns gets {found[1]}; the card gives {given}"


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise InputError("torch", f"cannot be imported ({shown(error)}); install it with `pip install torch`") from None
    return torch


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", category)
        yield


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before != 1:
            torch.set_num_threads(before)


def _check_graphs(module: Any, where: str) -> None:
    """The second net: operations of every method of every submodule, calls written out, against the allow-list."""
    torch = _torch()
    for part in module.modules():
        for name in part._c._method_names():
            graph = part._c._get_method(name).graph.copy()
            torch._C._jit_pass_inline(graph)
            for kind in _kinds(graph):
                if kind not in KINDS:
                    raise InputError(where, f"refused: operation '{shown(kind, 60)}' in the graph of {shown(name)} ({ADVICE})")


def _check_rows(module: Any, card: Card, where: str) -> None:
    """The third net: every operation leaves the rows apart, see `rowwise`."""
    check_rowwise(inlined_graph(module), module, operator, list(widths(card).values()), where)


def _kinds(graph: Any) -> set[str]:
    found: set[str] = set()
    blocks = [graph]
    while blocks:
        for node in blocks.pop().nodes():
            found.add(node.kind())
            blocks.extend(node.blocks())
    return found


def _trace(module: Any, card: Card, where: str) -> Any:
    torch = _torch()
    if "dt" in card.args:
        raise InputError(where, "the source of the module cannot be read and dt cannot be traced: define the class in a file")
    traced = []
    for n in (3, 8):
        arguments = tuple(torch.from_numpy(a) for a in sample(card, n).arguments() if isinstance(a, np.ndarray))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", torch.jit.TracerWarning)
            traced.append(torch.jit.freeze(torch.jit.trace(module, arguments, check_trace=False)))
        if any(issubclass(w.category, torch.jit.TracerWarning) for w in caught):
            raise InputError(where, "tracing the module would fix a decision that depends on its values: define the class in a file")
    first, second = (re.sub(r"___torch_mangle_\d+", "", m.code) for m in traced)
    if first != second:
        raise InputError(where, "tracing gives other operations for 3 rows than for 8: define the class in a file")
    return traced[1]


def _compare(fresh: Any, module: Any, frozen: Any, card: Card, where: str, coarse: bool) -> None:
    """The exported network against a copy of the module in the card's precision; where that does not run in it, against the module itself.

    `coarse` where the module casts to less than double precision.
    """
    columns = sample(card, 1000, seed=1)
    try:
        expected = call(fresh, columns.copy())
    except InputError as error:
        try:
            own = copy.deepcopy(module)
            expected, coarse = call(own.eval() if hasattr(own, "training") else own, columns.cast("float32")), True
        except InputError:
            raise InputError(where, f"the module {error.message}") from None
    tolerance = 1e-5 if card.dtype == "float32" or coarse else 1e-12
    for a, b in zip(expected, call(frozen, columns.copy()), strict=True):
        if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise InputError(where, "the exported network differs from the module (does it use random numbers or change itself?)")


def _warm_up(card: Card) -> None:
    """Load and try a network of our own, so that all files that this takes are open before opening is forbidden."""
    torch = _torch()
    torch.set_num_threads(1)
    known = {"format": FORMAT, "version": VERSION, "name": "warm-up", "kind": "open_prob", "args": ["x"], "states": [], "dtype": "float32"}
    known["inputs"] = [{"port": "v", "unit": "mV", "min": -1, "max": 1}]
    known["flux"] = {"law": "linear", "moves": {"ca": 1}, "from": "er", "to": "cytosol", "k": 1, "unit": "um/ms"}
    own = card_from({**known, "licence": "none"}, "warm-up")
    with _quiet():
        stream = io.BytesIO()
        torch.jit.save(torch.jit.trace(torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Sigmoid()).eval(), torch.ones(2, 1)), stream)
    warm = Admitted(stream.getvalue(), "", own, "warm-up")
    check_module(load_module(warm), warm, "warm-up")
    sample(card, 1000)


def _limit(memory: int, seconds: float) -> None:
    """No more files, no writing, little more memory, and an end by the kernel should the parent be gone."""
    try:
        import resource
    except ImportError:  # not a Unix system: the parent's clock is all there is
        return
    if os.path.exists("/proc/self/statm"):  # elsewhere the address space in use is not known
        with open("/proc/self/statm") as stream:
            used = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    cpu = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return shown(lines[-1] if "TorchScript interpreter" in lines[0] else lines[0], 200)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{shown(lines[0], 120)} ... {shown(lines[-1], 80)}" if len(lines) > 1 else _first_line(error)
