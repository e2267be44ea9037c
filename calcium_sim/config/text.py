"""The text of a model file: read within bounds, decoded, parsed; what is no TOML is told with its line and, if it shows, the fix."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from ..errors import InputError, regular_file, shown

LARGEST = 256 * 1024
SEVERAL = ("species", "buffers", "stimuli", "membranes")
"""Tables of which there can be several: their names stand in two brackets."""

_MOST_DOTS = 32
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
_BINARY = {
    b"\x89HDF": "a netCDF or HDF5 file", b"CDF": "a netCDF file", b"PK\x03\x04": "a ZIP archive (.npz, .pt)", b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF file", b"\x89PNG": "a picture",
}  # fmt: skip
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_HEADER = re.compile(r"\s*\[\[?([^\[\]#]+)\]")
_GIVEN = re.compile(r"([\w.\"'-]+)\s*=\s*$")
_UNQUOTED = re.compile(r"([^\s\"'\[{#=][^\"'\[{#=,}\]]*)")
_NOTHING = ("none", "null", "nil", "na")


def read_text(path: Path) -> str:
    """The text of a model file; its size is checked before it is read, and a byte order mark is skipped."""
    try:
        with regular_file(path, "", "a TOML file (e.g. wave.toml)").open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise InputError("", "no such file (write a template with `calcium-sim new`)") from None
    except OSError as error:
        raise InputError("", f"cannot be read: {error.strerror or error}") from None
    for mark, kind in _BINARY.items():
        if raw.startswith(mark):
            raise InputError("", f"is {kind}, expected a TOML file (write a template with `calcium-sim new`)")
    if len(raw) > LARGEST:
        raise InputError("", f"is larger than {LARGEST // 1024} KiB, no model file is (name data files by their path)")
    return _decoded(raw)


def _decoded(raw: bytes) -> str:
    for mark, kind in _MARKS.items():
        if raw.startswith(mark):
            raise InputError("", f"is {kind} text, TOML is UTF-8 (save it with the encoding UTF-8)")
    if raw[1:2] == b"\0" or raw[:1] == b"\0":
        raise InputError("", "is no UTF-8 text, it has bytes of 0 (if it is UTF-16, save it with the encoding UTF-8)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("", f"is not UTF-8 text (byte {error.start}, line {line}): save it with the encoding UTF-8") from None


def parse(toml: str) -> dict[str, Any]:
    """Parse TOML, refusing what would take a parser's time or memory without bound.

    Raises
    ------
    InputError
        With the line, and the fix for mistakes that are known.
    """
    toml = toml.removeprefix("\ufeff").replace("\r\n", "\n")
    if len(toml) > LARGEST:
        raise InputError("", f"is larger than {LARGEST // 1024} KiB")
    for number, line in enumerate(_QUOTED.sub("q", toml).splitlines(), 1):
        if any(part.count(".") > _MOST_DOTS for part in line.split("#")[0].split("=")):
            raise InputError(f"line {number}", f"a key of more than {_MOST_DOTS} dotted parts")
    try:
        found = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        told = f"is not valid TOML: {error}"
        raise InputError("", _other_format(toml) or f"{told}{_fix(toml, str(error))}") from None
    except RecursionError:
        raise InputError("", "is nested too deeply") from None
    except ValueError as error:
        long = re.search(r"[0-9_]{1000,}", toml)
        where = f" (at line {toml.count(chr(10), 0, long.start()) + 1})" if long else ""
        raise InputError("", f"is not valid TOML: {str(error).split(';')[0]}{where}") from None
    if not found:
        raise InputError("", "is empty (write a template with `calcium-sim new`)")
    return found


def _other_format(toml: str) -> str:
    """What a text is that is no TOML at all; empty where it looks like TOML."""
    lines = [line for line in map(str.strip, toml.split("\n")) if line and not line.startswith("#")]
    if not lines or any(re.match(r"(\[+[\w. ]+\]+|[\w.]+\s*=.*)$", line) for line in lines):
        return ""
    expected = "expected TOML (write a template with `calcium-sim new`)"
    if lines[0].startswith(("{", "[")):
        return f"looks like JSON, {expected}"
    if lines[0].startswith("<"):
        return f"looks like XML, {expected}"
    if all(re.match(r"(-|---|(- )?[\w\"'. -]+:(\s.*)?)", line) for line in lines):
        return f"looks like YAML, {expected}"
    if all(re.match(r"[\s\d.eE+-]+$", line) and len(line.split()) >= 7 for line in lines):
        return 'looks like an SWC morphology: name it in a TOML file ([mesh] with kind = "swc", path = "cell.swc")'
    return ""


def _fix(toml: str, error: str) -> str:
    """The fix for a mistake that the line at fault shows, as the end of a sentence; empty where it shows none."""
    at = _AT.search(error)
    lines = toml.split("\n")
    if at is None:
        return ": a quote or a bracket is not closed" if "end of document" in error else ""
    number, column = int(at[1]), int(at[2])
    line = lines[number - 1]
    if any(quote in line for quote in "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"):
        return ': write plain quotes ("...")'
    if "\r" in line:
        return ": lines end with a carriage return alone (save it with the line ends of Unix or Windows)"
    if line.lstrip().startswith("["):
        return _header_fix(lines, number)
    for earlier in lines[max(0, number - 2) : number]:
        if braces := _braces_fix(_QUOTED.sub("q", earlier).split("#")[0]):
            return braces
    if colon := re.match(r"\s*([\w.-]+)\s*:\s+(\S.*)", line):
        return f": write {colon[1]} = {_cut(colon[2])} (a key and its value are joined by =)"
    return _value_fix(line, column) or _twice(lines, number)


def _braces_fix(line: str) -> str:
    """What is wrong with a table in braces: one that goes on in the next line, or a comma at its end."""
    if line.count("{") > line.count("}"):
        key = re.search(r"([\w.-]+)\s*=\s*\{[^{}]*$", line)
        return f": a table in braces stands in one line (write {f'{key[1]} = {{ ... }}' if key else 'it'} in one line, or as a [table])"
    return ": no comma before }" if re.search(r",\s*\}", line) else ""


def _header_fix(lines: list[str], number: int) -> str:
    """What is wrong with the name of a table in brackets."""
    match = _HEADER.match(lines[number - 1])
    if match is None or lines[number - 1].count("[") != lines[number - 1].count("]"):
        return ": the brackets do not match"
    name = ".".join(part.strip().strip("\"'") for part in match[1].split("."))
    root = name.split(".")[0]
    if root in SEVERAL:
        return f": write [[{name}]] at every place (two brackets: there can be several)"
    earlier = [k for k, line in enumerate(lines[: number - 1], 1) if (m := _HEADER.match(line)) and m[1].strip() == match[1].strip()]
    return f": [{name}] stands in line {earlier[0]} already, put its keys together there" if earlier else ""


def _value_fix(line: str, column: int) -> str:
    """The fix for a value: the last one that begins before the column."""
    equals = line.rfind("=", 0, column)
    key = _GIVEN.search(line[max(0, equals - 100) : equals + 1])
    given = _UNQUOTED.match(line[equals + 1 :].lstrip()) if key else None
    if key is None or given is None:
        return ": a quote is not closed" if line.count('"') % 2 else ""
    rest, word = line[equals + 1 :].strip(), given[1].strip()
    if comma := re.match(r"[+-]?\d+,\d+(?![\w\"'])\s*(?![^\s\"#,}\]])", rest):
        return f": a number has a decimal point and no comma (write {key[1]} = {comma[0].strip().replace(',', '.')})"
    if word.lower() in ("true", "false"):
        return f": write {key[1]} = {word.lower()} (in small letters)"
    if word.lower() in _NOTHING:
        return f": TOML has no {word} (leave {key[1]} out)"
    if word.lower() == "balance" or re.match(r"[A-Za-z_]", word) or re.match(r"[+-]?[\d.,]+(e[+-]?\d+)?\s*[A-Za-z%/\u00b5\u03bc]", word):
        text = "balance" if "balance" in word.lower() else _cut(word)
        return f": write {key[1]} = {json.dumps(text, ensure_ascii=False)} (text and quantities stand in quotes)"
    return ""


def _twice(lines: list[str], number: int) -> str:
    """Where the key of a line stands for the first time in its table."""
    key = re.match(r"\s*([\w.\"'-]+)\s*=", lines[number - 1])
    for k in range(number - 2, -1, -1):
        if key is None or lines[k].lstrip().startswith("["):
            return ""
        if (other := re.match(r"\s*([\w.\"'-]+)\s*=", lines[k])) and other[1] == key[1]:
            return f": {key[1]} is given in line {k + 1} already"
    return ""


def _cut(text: str) -> str:
    return text.strip() if len(text) <= 40 else shown(text.strip(), 40)
