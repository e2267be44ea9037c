"""A strict reader and writer of zip archives in memory.

Several zip readers disagree about odd archives. This one accepts only what cannot be read in two ways: members that follow each
other without gaps from byte 0, a central directory that says the same as the local headers, and nothing after it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import InputError
from .strict import shown

MAX_FILE = 64 * 1024 * 1024
MAX_MEMBERS = 2000
MAX_RATIO = 100
MAX_NAME = 300

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_END64, _LOCATOR64 = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_ORDINARY = re.compile(r"[A-Za-z0-9_.+ /-]+")
_DESCRIPTOR, _UTF8 = 0x8, 0x800


@dataclass(frozen=True)
class Member:
    """One entry of the central directory."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_file(path: Path) -> bytes:
    """Read a regular file of at most 64 MB, once.

    Raises
    ------
    InputError
        If it is missing, not a regular file, or too large.
    """
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
            raise InputError(str(path), f"{what}, expected a channel file (.pt or .npz)")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(shown(str(path), 300), f"cannot be read: {shown(getattr(error, 'strerror', None) or error)}") from None
    if len(data) > MAX_FILE:
        raise InputError(str(path), f"is larger than {MAX_FILE} bytes")
    return data


def read_archive(data: bytes, where: str) -> dict[str, bytes]:
    """Return the members of a zip archive by name.

    Raises
    ------
    InputError
        At the first thing that two readers might read differently, or that is too large.
    """
    if not data.startswith(b"PK\x03\x04"):
        _refuse(where, "is not a zip archive (an older format, a bare pickle, or another file renamed)")
    if len(data) > MAX_FILE:
        _refuse(where, f"is larger than {MAX_FILE} bytes")
    members = _directory(data, where)
    _check_names(members, where)
    _check_sizes(members, len(data), where)
    return _extract(data, members, where)


def write_archive(members: Mapping[str, bytes], top: str = "") -> bytes:
    """Return a stored (uncompressed) archive of these members, in this order, with 64-byte aligned contents and no time stamps."""
    body, central = bytearray(), bytearray()
    for name, content in members.items():
        raw, crc, offset = f"{top}{name}".encode("ascii"), zlib.crc32(content), len(body)
        pad = -(offset + _LOCAL.size + len(raw) + 4) % 64
        extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
        body += _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, 33, crc, len(content), len(content), len(raw), len(extra)) + raw + extra + content
        central += _CENTRAL.pack(b"PK\x01\x02", 20, 20, 0, 0, 0, 33, crc, len(content), len(content), len(raw), 0, 0, 0, 0, 0, offset)
        central += raw
    end = _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(central), len(body), 0)
    return bytes(body + central + end)


def _refuse(where: str, message: str) -> NoReturn:
    raise InputError(where, f"refused: {message}")


def _directory(data: bytes, where: str) -> list[Member]:
    """Parse the central directory, which has to end where the file ends."""
    at = len(data) - _END.size
    if at < 0 or data[at : at + 4] != b"PK\x05\x06":
        _refuse(where, "the archive does not end with its directory (truncated, a comment, or data after it)")
    _, disk, disk2, here, total, size, start, comment = _END.unpack_from(data, at)
    ends = at
    if at >= _LOCATOR64.size and data[at - _LOCATOR64.size : at - _LOCATOR64.size + 4] == b"PK\x06\x07":
        here, total, size, start, ends = _directory64(data, at - _LOCATOR64.size, (here, total, size, start), where)
    if disk or disk2 or comment or here != total:
        _refuse(where, "an archive in several parts or with a comment")
    if not 0 < total <= MAX_MEMBERS:
        _refuse(where, f"{total} members, expected 1 to {MAX_MEMBERS}")
    if start + size != ends:
        _refuse(where, "data before, between or after the parts of the archive")
    members, pos = [], start
    for _ in range(total):
        member, pos = _entry(data, pos, ends, where)
        members.append(member)
    if pos != ends:
        _refuse(where, "the directory is longer than its entries")
    _check_tiling(data, members, start, where)
    return members


def _directory64(data: bytes, locator: int, small: tuple[int, ...], where: str) -> tuple[int, int, int, int, int]:
    """The 64-bit end record: it has to say the same as the 32-bit one, or be referred to by it."""
    _, disk, at, disks = _LOCATOR64.unpack_from(data, locator)
    if disk or disks != 1 or at + _END64.size != locator or data[at : at + 4] != b"PK\x06\x06":
        _refuse(where, "the 64-bit end record is not where it should be")
    _, length, _, _, this, first, here, total, size, start = _END64.unpack_from(data, at)
    limits = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    agrees = all(a in (b, limit) for a, b, limit in zip(small, (here, total, size, start), limits, strict=True))
    if this or first or length != _END64.size - 12 or not agrees:
        _refuse(where, "the 32-bit and 64-bit end records disagree")
    return here, total, size, start, at


def _entry(data: bytes, pos: int, ends: int, where: str) -> tuple[Member, int]:
    if pos + _CENTRAL.size > ends or data[pos : pos + 4] != b"PK\x01\x02":
        _refuse(where, "a damaged directory")
    row = _CENTRAL.unpack_from(data, pos)
    flags, method, crc, packed, size, name_length, extra, comment, disk, offset = (*row[3:5], *row[7:14], row[16])
    after = pos + _CENTRAL.size + name_length
    if after > ends or extra or comment or disk:
        _refuse(where, "a directory entry with extra fields, a comment or 64-bit sizes")
    raw = data[pos + _CENTRAL.size : after]
    if not 0 < len(raw) <= MAX_NAME or not raw.isascii() or not _ORDINARY.fullmatch(raw.decode()):
        _refuse(where, f"member name '{shown(raw.decode('latin-1'), 60)}' is not plain ASCII")
    name = raw.decode()
    if flags & ~(_DESCRIPTOR | _UTF8):
        _refuse(where, f"member '{name}' has flags {flags:#x} (encrypted or unusual)")
    if method not in (0, 8):
        _refuse(where, f"member '{name}' is packed by method {method}, expected stored or deflated")
    if method == 0 and packed != size:
        _refuse(where, f"member '{name}' is stored, but its two sizes differ")
    return Member(name, flags, method, crc, packed, size, offset), after


def _check_tiling(data: bytes, members: list[Member], end: int, where: str) -> None:
    """Local headers must repeat the directory, and members must follow each other from byte 0 to the directory."""
    at = 0
    for member in sorted(members, key=lambda m: m.offset):
        if member.offset != at or at + _LOCAL.size > end:
            _refuse(where, f"a gap or an overlap before member '{member.name}'")
        sign, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack_from(data, at)
        name = data[at + _LOCAL.size : at + _LOCAL.size + name_length]
        later = bool(flags & _DESCRIPTOR)
        said = (crc, packed, size)
        if sign != b"PK\x03\x04" or name != member.name.encode() or (flags, method) != (member.flags, member.method):
            _refuse(where, f"the header of member '{member.name}' differs from the directory")
        if said != (member.crc, member.packed, member.size) and not (later and said == (0, 0, 0)):
            _refuse(where, f"the sizes of member '{member.name}' differ from the directory")
        at += _LOCAL.size + name_length + extra + member.packed
        if later:
            expected = struct.pack("<4s3L", b"PK\x07\x08", member.crc, member.packed, member.size)
            if data[at : at + 16] != expected:
                _refuse(where, f"the data descriptor of member '{member.name}' differs from the directory")
            at += 16
    if at != end:
        _refuse(where, "data before, between or after the parts of the archive")


def _check_names(members: list[Member], where: str) -> None:
    seen: set[str] = set()
    for name in (m.name for m in members):
        if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
            _refuse(where, f"member name '{name}' is absolute, a folder, or leaves the archive")
        if name.lower() in seen:
            _refuse(where, f"member name '{name}' is stored twice (upper and lower case count as one)")
        seen.add(name.lower())


def _check_sizes(members: list[Member], length: int, where: str) -> None:
    if sum(m.size for m in members) > MAX_FILE:
        _refuse(where, f"the members unpack to more than {MAX_FILE} bytes")
    for m in members:
        if m.size > MAX_RATIO * max(m.packed, 1) or m.packed > length:
            _refuse(where, f"member '{m.name}' claims to unpack to {m.size} bytes from {m.packed} (more than {MAX_RATIO} times)")


def _extract(data: bytes, members: list[Member], where: str) -> dict[str, bytes]:
    out: dict[str, bytes] = {}
    for m in members:
        name_length, extra = struct.unpack_from("<2H", data, m.offset + 26)
        start = m.offset + _LOCAL.size + name_length + extra
        content = data[start : start + m.packed]
        if m.method == 8:
            unpack = zlib.decompressobj(-15)
            try:
                content = unpack.decompress(content, m.size + 1)
            except zlib.error:
                _refuse(where, f"member '{m.name}' is damaged")
            if not unpack.eof or unpack.unused_data:
                _refuse(where, f"member '{m.name}' does not unpack to the size that it claims")
        if len(content) != m.size:
            _refuse(where, f"member '{m.name}' does not unpack to the size that it claims")
        if zlib.crc32(content) != m.crc:
            _refuse(where, f"member '{m.name}' is damaged (its checksum does not match)")
        out[m.name] = content
    return out
