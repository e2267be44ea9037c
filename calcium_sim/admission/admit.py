"""Admission of a learned channel: a static examination of a file that a stranger may have written, before torch sees any of it.

Only the standard library is used. What is admitted is not the file but a fresh archive in memory, built from the members that were
examined. This reads text, it is no sandbox: a fault in torch's own parser stays possible, and a network that passes can still be wrong.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .archive import read_archive, read_file, write_archive
from .card import MEMBER, Card, parse_card
from .code import examine as examine_code
from .pickles import Node, Refused
from .pickles import examine as examine_pickle
from .strict import shown
from .syntax import Code, Type

_TOP = re.compile(r"[A-Za-z0-9_.+ -]{1,128}")
_LAYOUT = re.compile(
    r"data\.pkl|constants\.pkl|(\.data/)?version|byteorder|\.data/serialization_id|data/[0-9]{1,4}|constants/[0-9]{1,4}"
    r"|code/__torch__(/[A-Za-z_][A-Za-z0-9_]*)*\.py(\.debug_pkl)?|traced_inputs\.pkl|traced_inputs/[0-9]{1,4}|extra/channel\.json"
)
_DROPPED = re.compile(r".*\.debug_pkl|traced_inputs.*|\.data/serialization_id|byteorder")
_REQUIRED = ("data.pkl", "constants.pkl")
_CARD = f"extra/{MEMBER}"
_VERSIONS = re.compile(rb"([3-9]|10)\n?")


@dataclass(frozen=True)
class Admitted:
    """What may be given to torch.

    Attributes
    ----------
    archive : bytes of the archive to load, freshly written (of a trusted file: its own bytes).
    sha256 : hash of the bytes of the file as it was read (64 hexadecimal digits).
    card : the channel's card.
    source : the file's name, for messages.
    trusted : admitted by its hash alone, without examination.
    """

    archive: bytes = field(repr=False)
    sha256: str
    card: Card
    source: str
    trusted: bool = False


def admit(path: str | os.PathLike[str], trust: str | None = None) -> Admitted:
    """Examine a TorchScript file and return what may be loaded. Imports no torch, executes and unpickles nothing, writes nothing.

    Parameters
    ----------
    path : the ``.pt`` file.
    trust : ``"sha256:..."`` of a file that is to run although a rule refuses it; a line in ``trusted_models.toml`` does the same.

    Raises
    ------
    InputError
        One line that names the member and the rule.
    """
    return admit_bytes(read_file(Path(path)), str(path), trust)


def admit_bytes(data: bytes, where: str, trust: str | None = None) -> Admitted:
    """Examine the bytes of a TorchScript file; see `admit`."""
    digest = hashlib.sha256(data).hexdigest()
    asked = _digest(trust) if trust is not None else None
    if asked is not None and asked != digest:
        raise InputError(where, f"has sha256:{digest}, trust was given to sha256:{asked} (another file, or changed since)")
    try:
        return _admit(data, digest, where)
    except InputError as error:
        if asked is None and digest not in trusted_hashes():
            raise
        return _trusted(data, digest, where, error)


def read_card(path: str | os.PathLike[str]) -> Card:
    """Return the card of a channel file (``.pt`` or ``.npz``) without examining the rest."""
    data, where = read_file(Path(path)), str(path)
    return _card(read_archive(data, where) if where.endswith(".npz") else _members(data, where), where)


def trusted_models_file() -> Path:
    """Where trusted hashes are listed: ``calcium-sim/trusted_models.toml`` in the user's configuration folder."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "calcium-sim" / "trusted_models.toml"


def trusted_hashes() -> frozenset[str]:
    """Hashes of ``trusted = ["sha256:...", ...]`` in `trusted_models_file`; empty without the file."""
    path = trusted_models_file()
    try:
        if path.stat().st_size > 256 * 1024:
            raise InputError(str(path), "is larger than 262144 bytes")
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), f"cannot be read: {shown(error)}") from None
    found = table.get("trusted")
    if set(table) - {"trusted"} or not isinstance(found, list):
        raise InputError(str(path), 'expected one key: trusted = ["sha256:...", ...]')
    return frozenset(_digest(h) for h in found)


def examine_arrays(data: bytes, where: str) -> tuple[Card, dict[str, bytes]]:
    """Return the card and the raw ``.npy`` members of a weights file."""
    members = read_archive(data, where)
    return _card(members, where), {k: v for k, v in members.items() if k != MEMBER}


def _digest(trust: Any) -> str:
    if not isinstance(trust, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", trust):
        raise InputError("trust", f"'{shown(trust, 80)}', expected 'sha256:' and 64 hexadecimal digits")
    return trust[7:]


def _members(data: bytes, where: str) -> dict[str, bytes]:
    """Members of a TorchScript archive, the one top folder taken off."""
    found = read_archive(data, where)
    tops = {name.partition("/")[0] for name in found}
    top = min(tops)
    if len(tops) != 1 or top in found or not _TOP.fullmatch(top):
        raise InputError(where, f"refused: top folders {shown(sorted(tops)[:3], 60)}, expected one that holds all members")
    return {name.removeprefix(f"{top}/"): content for name, content in found.items()}


def _card(members: Mapping[str, bytes], where: str) -> Card:
    text = members.get(_CARD, members.get(MEMBER))
    if text is None:
        raise InputError(where, f"refused: has no card ({_CARD}); write channel files with export_channel")
    return parse_card(text, f"{where}: {MEMBER}")


def _admit(data: bytes, digest: str, where: str) -> Admitted:
    try:
        members = _members(data, where)
        _check_layout(members)
        card = _card(members, where)
        archive = _rewrite(members)
    except Refused as error:
        raise InputError(where, f"refused: {error}") from None
    except InputError:
        raise
    except (Exception, RecursionError, MemoryError) as error:  # an examiner that stumbles has not admitted anything
        raise InputError(where, f"refused: cannot be examined ({type(error).__name__})") from None
    return Admitted(archive, digest, card, where)


def _check_layout(members: Mapping[str, bytes]) -> None:
    if "data.pkl" in members and not any(name.startswith("code/") for name in members):
        raise Refused("was written by torch.save and holds no code (load it in torch, and write the module with cs.export_channel)")
    for name in members:
        if not _LAYOUT.fullmatch(name):
            raise Refused(f"member '{shown(name, 80)}' has no place in a TorchScript file")
    if missing := [name for name in _REQUIRED if name not in members]:
        raise Refused(f"member '{missing[0]}' is missing (an older format, or not TorchScript)")
    if not any(name.startswith("code/") and name.endswith(".py") for name in members):
        raise Refused("has no code")
    versions = [members[name] for name in ("version", ".data/version") if name in members]  # torch writes the one or the other
    if len(versions) != 1:
        raise Refused(f"member 'version' is {'there twice' if versions else 'missing'} (an older format, or not TorchScript)")
    if not _VERSIONS.fullmatch(versions[0]):
        raise Refused(f"version {shown(versions[0][:20])} is not one of 3 to 10")
    if members.get("byteorder", b"little") != b"little":
        raise Refused("byteorder is not 'little'")


def _rewrite(members: Mapping[str, bytes]) -> bytes:
    """Check pickles and code against each other and return the archive that torch will see."""
    constants = _pickle(members, "constants")
    if not isinstance(constants, Node) or constants.kind != "tuple" or any(not _is_tensor(c) for c in constants.items):
        raise Refused("constants.pkl is not a tuple of tensors")
    files = {k: v for k, v in members.items() if k.startswith("code/") and k.endswith(".py")}
    code = examine_code(files, len(constants.items))
    root = _pickle(members, "data")
    if not isinstance(root, Node) or root.kind != "object":
        raise Refused("data.pkl is not a module")
    _check_value(root, ("class", root.cls), code, "data.pkl")
    if "forward" not in code.classes[root.cls].methods:
        raise Refused("the module has no forward")
    kept = {k: v for k, v in members.items() if not _DROPPED.fullmatch(k)}
    kept.update({k: text.encode("ascii") for k, text in code.text.items()})
    kept["byteorder"] = b"little"
    return write_archive(kept, "channel/")


def _pickle(members: Mapping[str, bytes], folder: str) -> Any:
    storages = {k.removeprefix(f"{folder}/"): v for k, v in members.items() if k.startswith(f"{folder}/")}
    try:
        return examine_pickle(members[f"{folder}.pkl"], storages)
    except Refused as error:
        raise Refused(f"{folder}.pkl: {error}") from None
    except Exception as error:  # damaged bytes: pickletools raises several kinds
        raise Refused(f"{folder}.pkl cannot be read ({type(error).__name__})") from None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Node) and value.kind == "tensor"


def _check_value(value: Any, declared: Type, code: Code, where: str) -> None:
    """What the pickle stores must be what the code declares: torch itself does not compare them everywhere."""
    if not _fits(value, declared, code, where):
        raise Refused(f"{shown(where)} holds another type than declared")


def _fits(value: Any, declared: Type, code: Code, where: str) -> bool:
    kind = declared[0]
    if kind == "class":
        return _fits_class(value, str(declared[1]), code)
    if kind in ("Tensor", "int", "float", "bool", "str", "NoneType"):
        plain = {"int": int, "float": float, "bool": bool, "str": str, "NoneType": type(None)}
        return _is_tensor(value) if kind == "Tensor" else type(value) is plain[kind]
    inner = [d for d in declared[1:] if isinstance(d, tuple)]
    if kind == "Optional":
        return value is None or _fits(value, inner[0], code, where)
    if not isinstance(value, Node):
        return False
    if kind == "Tuple":
        return (
            value.kind == "tuple" and len(value.items) == len(inner) and all(map(lambda v, d: _fits(v, d, code, where), value.items, inner))
        )
    return kind == "List" and value.kind == "typed-list" and all(_fits(v, inner[0], code, where) for v in value.items)


def _fits_class(value: Any, name: str, code: Code) -> bool:
    if not isinstance(value, Node) or value.kind != "object" or value.cls != name or not value.built:
        return False
    cls = code.classes.get(name)
    if cls is None:
        raise Refused(f"data.pkl: class '{shown(name)}' is not in the archive")
    if odd := set(value.items) ^ set(cls.attributes):
        raise Refused(f"data.pkl: attribute '{shown(min(odd))}' of {shown(name)} is stored but not declared, or the other way round")
    for attribute, declared in cls.attributes.items():
        _check_value(value.items[attribute], declared, code, f"data.pkl: {name}.{attribute}")
    return True


def _trusted(data: bytes, digest: str, where: str, refusal: InputError) -> Admitted:
    """A refused file whose hash the user trusts: its own bytes; the card is still needed."""
    try:
        card = _card(_members(data, where), where)
    except InputError as error:
        raise InputError(where, f"{refusal.message}; trusted by its hash, but its card cannot be read: {error.message}") from None
    return Admitted(data, digest, card, where, trusted=True)
