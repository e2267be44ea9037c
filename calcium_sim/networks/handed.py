"""What people hand over as their network: the module inside its wrappers, or one line that says what is needed instead."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ..admission.card import ARGS
from ..admission.strict import shown
from ..errors import InputError

WRAPPERS = frozenset({"DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "AveragedModel"})
"""Classes of torch that hold the network as ``module``."""
HOOKS = {
    "WeightNorm": "torch.nn.utils.remove_weight_norm({0})",
    "SpectralNorm": "torch.nn.utils.remove_spectral_norm({0})",
    "BasePruningMethod": "torch.nn.utils.prune.remove({0}, '{1}')",
}
"""Hooks that make a weight anew at every call, and what makes it plain."""


def network(torch: Any, given: Any) -> Any:
    """The ``torch.nn.Module`` inside what was handed over (``torch.compile``, ``DataParallel`` and the like are taken off).

    Raises
    ------
    InputError
        One line that says what this is and what is needed: of anything else, of a module without ``forward``, and of weights that are made
        anew at every call.
    """
    module = given
    while isinstance(module, torch.nn.Module) and type(module).__name__ in {*WRAPPERS, "OptimizedModule"}:
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module
    if not isinstance(module, torch.nn.Module):
        raise InputError("module", f"{_told(torch, module)}, expected an instance of torch.nn.Module")
    scripted = isinstance(module, torch.jit.ScriptModule)
    if not scripted and getattr(type(module), "forward", None) is torch.nn.Module.forward and "forward" not in vars(module):
        hint = " (torch.nn.Sequential has one)" if "List" in type(module).__name__ else ""
        raise InputError("module", f"{type(module).__name__} has no forward{hint}")
    if scripted and not hasattr(module, "forward"):
        raise InputError("module", "the scripted module has no forward")
    for name, part in () if scripted else module.named_modules():
        _check_part(torch, name, part)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
            raise InputError("module", f"'{name}' has no shape yet (call the network once, so that its lazy layers are made)")
        if tensor.device.type == "meta":
            raise InputError("module", f"'{name}' has no numbers (device 'meta'): load its weights first")
    return module


def forward_arguments(torch: Any, module: Any) -> tuple[str, ...]:
    """Names of the arguments of ``forward``; a single one, whatever its name, is ``x``."""
    if isinstance(module, torch.jit.ScriptModule):
        names = tuple(a.name for a in module.forward.schema.arguments[1:] if not a.has_default_value() or a.name in ARGS)
    else:
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        found = inspect.signature(module.forward).parameters.items()
        names = tuple(n for n, p in found if p.kind in plain and (p.default is p.empty or n in ARGS))
    return ("x",) if len(names) == 1 and names[0] not in ARGS else names


def dtype_of(torch: Any, module: Any) -> str:
    """ "float64" if any number of the module is, otherwise "float32"."""
    tensors = [*module.parameters(), *module.buffers()]
    if isinstance(module, torch.jit.ScriptModule):  # a frozen module keeps its numbers as constants of its graph
        held = [n.output().toIValue() for n in module.graph.findAllNodes("prim::Constant") if n.output().type().kind() == "TensorType"]
        tensors += [t for t in held if isinstance(t, torch.Tensor) and t.dim()]
    return "float64" if any(t.dtype == torch.float64 for t in tensors) else "float32"


def _check_part(torch: Any, name: str, part: Any) -> None:
    where, kind = f"net.{name}" if name else "net", type(part).__name__
    if isinstance(part, torch.nn.RNNBase):
        hint = f"use torch.nn.{kind}Cell with the hidden values as states s, or write the cell out with linear and elementwise functions"
        raise InputError("module", f"'{where}' is {kind} over a sequence, which a channel has not ({hint})")
    if isinstance(part, torch.nn.MultiheadAttention):
        raise InputError("module", f"'{where}' is MultiheadAttention (write it out with linear, softmax and matmul)")
    if torch.nn.utils.parametrize.is_parametrized(part):
        weight = next(iter(part.parametrizations))
        hint = f"torch.nn.utils.parametrize.remove_parametrizations({where}, '{weight}') makes it plain"
        raise InputError("module", f"'{where[4:]}.{weight}' is made by a parametrization at every call ({hint})")
    for hook in part._forward_pre_hooks.values():
        for base in (c.__name__ for c in type(hook).__mro__):
            if base in HOOKS:
                weight = str(getattr(hook, "name", getattr(hook, "_tensor_name", "weight")))
                hint = HOOKS[base].format(where, weight)
                raise InputError("module", f"'{where}' makes its {weight} at every call ({hint} makes it plain)")


def _told(torch: Any, given: Any) -> str:
    """What something is that is no network."""
    if given is None:
        return "None is no network (does the function that makes it return it?)"
    if isinstance(given, (str, PurePath)):
        return f"'{shown(str(given), 80)}' is the name of a file: load it first (torch.jit.load, or load_state_dict into the module)"
    if isinstance(given, Mapping):
        return f"a {type(given).__name__} of {len(given)} entries holds weights and no network: net.load_state_dict(...) puts them into one"
    if isinstance(given, type):
        return f"{given.__name__} is a class and no network: {given.__name__}(...) makes one"
    if isinstance(given, torch.optim.Optimizer):
        return f"{type(given).__name__} is an optimizer and no network"
    if isinstance(given, (torch.Tensor, bytes)) or hasattr(given, "__array__"):
        return f"a {type(given).__name__} holds numbers and no network"
    if isinstance(given, (list, tuple)):
        return f"a {type(given).__name__} of {len(given)} is no network (torch.nn.Sequential(*layers) makes one of layers)"
    if type(given).__name__ == "ExportedProgram":
        return "a program of torch.export is no network (give the module that it was made of)"
    if callable(given) and hasattr(given, "__name__"):
        return f"'{shown(given.__name__, 60)}' is a function and no network: call it in the forward of a module"
    return f"{shown(given)} is no network"
