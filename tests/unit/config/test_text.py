"""Model files as people write them: mistakes of structure and of numbers are accepted as meant, or told with the fix in one line."""

import random
import re

import pytest

from calcium_sim.app.demo import MODEL
from calcium_sim.app.template import template
from calcium_sim.config import build, load, parse
from calcium_sim.config.schema import Problems
from calcium_sim.errors import InputError

WAVE = template()


def swapped(old, new, count=1):
    assert old in WAVE, old
    return WAVE.replace(old, new, count)


def told(text):
    """The lines with which a file is refused; none if it is taken."""
    try:
        build(parse(text))
    except Problems as error:
        return [str(p) for p in error.problems]
    except InputError as error:
        return [str(error)]
    return []


TAKEN = {
    "byte order mark": "\ufeff" + WAVE,
    "line ends of Windows": WAVE.replace("\n", "\r\n"),
    "tabs": WAVE.replace("\n", "\n\t"),
    "BALANCE": WAVE.replace('"balance"', '"BALANCE"'),
    "Balance": WAVE.replace('"balance"', '" Balance "'),
    "minus sign": 'voltage = "\u221270 mV"\n' + WAVE,
    "dash": 'voltage = "\u201370 mV"\n' + WAVE,
    "space that does not break": swapped('"1000 uM"', '"1000\u00a0uM"'),
    "dotted keys": 'run.until = "75 ms"\n' + WAVE.split("[run]")[0],
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken_as_meant(name):
    assert told(TAKEN[name]) == []


UP = r"belongs to the top of the file, here it fell into {} \(move it above the first \[table\]\)$"
LAST = '\nchannel = "leak/linear"\npermeability = "balance"'
PLAIN = "a number has a decimal point, no comma and no separators"
TOLD = {
    "key after the last table": (WAVE + 'voltage = "-70 mV"\n', r"^run\.voltage: " + UP.format(r"\[run\]")),
    "key in a mesh": (swapped('kind = "neurite"', 'kind = "neurite"\nvoltage = "-70 mV"'), r"mesh\.voltage: " + UP.format(r"\[mesh\]")),
    "key in a species": (swapped('name = "ca"', 'name = "ca"\nvoltage = "0 V"'), r"^species\[0\]\.voltage: " + UP.format(r"\[\[spec.*")),
    "key in a buffer": (swapped('binds = "ca"', 'binds = "ca"\nchannel_folders = ["."]'), UP.format(r"\[\[buffers\]\]")),
    "key in a channel": (
        swapped('permeability = "0.038 um/s"', 'permeability = "0.038 um/s"\nvoltage = "-70 mV"'),
        r"membranes\.er\[1\]\.voltage: " + UP.format(r"\[\[membranes\.er\]\]"),
    ),
    "key in a stimulus": (swapped('shape = "ramp-down"', 'voltage = "-70 mV"'), r"stimuli\[0\]\.voltage: " + UP.format(r"\[\[stimuli\]\]")),
    "dotted keys after a table": (WAVE.replace("[run]\nuntil", "run.until"), r"stimuli\[0\]\.run: " + UP.format(r"\[\[stimuli\]\]")),
    "key of [run] at the top": ('until = "5 ms"\n' + WAVE, r"^until: belongs to \[run\], here it stands before any table"),
    "key of [run] in a stimulus": (swapped('shape = "ramp-down"', "tolerance = 0.01"), r"belongs to \[run\], here it fell into \[\[st"),
    "[species]": (swapped("[[species]]", "[species]"), r"^species: stands in one bracket \(write \[\[species\]\], in two brackets"),
    "[buffers]": (swapped("[[buffers]]", "[buffers]"), r"^buffers: stands in one bracket \(write \[\[buffers\]\]"),
    "[stimuli]": (swapped("[[stimuli]]", "[stimuli]"), r"^stimuli: stands in one bracket \(write \[\[stimuli\]\]"),
    "one [membranes.er]": (
        re.sub(r"(?s)\[\[membranes\.er\]\].*?(?=\[\[membranes\.plasma)", '[membranes.er]\nchannel = "leak/linear"\n', WAVE),
        r"^membranes\.er: stands in one bracket \(write \[\[membranes\.er\]\]",
    ),
    "[membranes.er] first": (swapped("[[membranes.er]]", "[membranes.er]"), r"line 32.*: write \[\[membranes\.er\]\] at every place"),
    "[membranes.er] twice": (WAVE.replace("[[membranes.er]]", "[membranes.er]"), r"line 32.*: write \[\[membranes\.er\]\] at every place"),
    "[membranes.plasma] last": (WAVE.replace("[[membranes.plasma]]" + LAST, "[membranes.plasma]" + LAST), r": write \[\[membranes\.pl"),
    "[[run]]": (swapped("[run]", "[[run]]"), r"^run: stands in two brackets \(write \[run\], there is one\)"),
    "[[mesh]]": (swapped("[mesh]", "[[mesh]]"), r"^mesh: stands in two brackets \(write \[mesh\]"),
    "[[membranes]]": (swapped("[[membranes.er]]", "[[membranes]]"), r"^membranes: a membrane has a name and channels \(write \[\["),
    "[membranes]": (swapped("[[membranes.er]]", "[membranes]"), r"^membranes: a membrane has a name and channels"),
    "[[er]]": (swapped("[[membranes.er]]", "[[er]]"), r"^er: channels belong to a membrane \(write \[\[membranes\.er\]\]\)"),
    "[run] twice": (WAVE + '[run]\nuntil = "3 ms"\n', r": \[run\] stands in line 59 already"),
    "a key twice": (swapped('length = "30 um"', 'length = "30 um"\nlength = "31 um"'), r"line 7.*: length is given in line 6 already"),
    "bare BALANCE": (swapped('"balance"', "BALANCE"), r'line 38, .*: write density = "balance" \(text and quantities stand in quotes\)'),
    "bare quantity": (swapped('"75 ms"', "75 ms"), r'line 60, .*: write until = "75 ms" \(text'),
    "bare name": (swapped('name = "ca"', "name = ca"), r': write name = "ca" \(text'),
    "True": (swapped("spacing =", "er = True\nspacing ="), r": write er = true \(in small letters\)"),
    "None": (swapped("spacing =", "er = None\nspacing ="), r": TOML has no None \(leave er out\)"),
    "colon": (swapped('length = "30 um"', 'length: "30 um"'), r': write length = "30 um" \(a key and its value are joined by =\)'),
    "typographic quotes": (swapped('"1000 uM"', "\u201c1000 uM\u201d"), r"line 15, .*: write plain quotes"),
    "open quote": (swapped('"75 ms"', '"75 ms'), r"line 60, .*: a quote is not closed"),
    "open bracket": (swapped("[[species]]", "[[species]"), r"line 12, .*: the brackets do not match"),
    "old line ends": (WAVE.replace("\n", "\r"), r": lines end with a carriage return alone"),
    "decimal comma": (swapped('"0.05 uM"', '"0,05 uM"'), rf"initial\.cytosol: '0,05 uM': {PLAIN} \(write '0\.05 uM'\)$"),
    "comma in a channel": (swapped('"0.038 um/s"', '"0,038 um/s"'), rf"^membranes\.er\[1\]\.permeab.*{PLAIN} \(write '0\.038 um/s'\)"),
    "bare decimal comma": (swapped('"75 ms"', "75,5"), r": a number has a decimal point and no comma \(write until = 75\.5\)"),
    "balance as in Python": (swapped('"balance"', "cs.BALANCE"), r": write density = \"balance\" \(text and"),
    "braces over lines": (swapped('", er = "250', '",\n er = "250'), r"stands in one line \(write initial = \{ \.\.\. \} in one line, or"),
    "comma before a brace": (swapped('"1000 uM" }', '"1000 uM", }'), r": no comma before \}$"),
    "comma or thousand": (swapped('"1000 uM"', '"1,000 uM"'), rf"{PLAIN} \(write '1000 uM' or '1\.000 uM'\)"),
    "point and comma": (swapped('"1000 uM"', '"1.000,5 uM"'), rf"{PLAIN} \(write '1000\.5 uM'\)"),
    "comma and point": (swapped('"1000 uM"', '"1,000.5 uM"'), rf"{PLAIN} \(write '1000\.5 uM'\)"),
    "space": (swapped('"1000 uM"', '"1 000 uM"'), rf"{PLAIN} \(write '1000 uM'\)"),
    "apostrophe": (swapped('"1000 uM"', '"1\'000 uM"'), rf"{PLAIN} \(write '1000 uM'\)"),
    "underscore": (swapped('"1000 uM"', '"1_000 uM"'), rf"{PLAIN} \(write '1000 uM'\)"),
    "millions": (swapped('"1000 uM"', '"1,000,000 uM"'), rf"{PLAIN} \(write '1000000 uM'\)"),
    "comma and power": (swapped('"1000 uM"', '"1,5e3 uM"'), rf"{PLAIN} \(write '1\.5e3 uM'\)"),
    "two numbers": (swapped('"1000 uM"', '"5 6 uM"'), rf"{PLAIN}$"),
    "power of ten": (swapped('"1000 uM"', '"1\u00d710^3 uM"'), r"a power of ten is written with e \(write '1e3 uM'\)"),
    "5000 digits": (swapped('"75 ms"', "1" * 5000), r"limit \(4300 digits\).*\(at line 60\)"),
    "5000 hexadecimal digits": (swapped('"75 ms"', '"75 ms"\ntolerance = 0x' + "f" * 5000), r"^run\.tolerance: .* more than 18 digits"),
    "digits in a name": (swapped('name = "ca"', "name = 0x" + "f" * 5000), r"^species\[0\]\.name: .* more than 18 digits"),
    "digits in a start": (swapped('density = "1 /um^2"', "density = 1\ninitial = { c1 = 0x" + "f" * 5000 + " }"), r"c1: .*18 digits"),
    "key of brackets": ('"a[0]" = 1\n' + WAVE, r'^"a\[0\]": unknown key; there are mesh'),
    "brackets in a stimulus": (swapped('shape = "ramp-down"', '"a[0]" = 1'), r'^stimuli\[0\]\."a\[0\]": unknown key'),
    "brackets in a channel": (swapped('density = "1 /um^2"', '"a[0]" = 1'), r'^membranes\.er\[0\]\."a\[0\]": unknown key'),
    "words of pydantic": (swapped('until = "75 ms"', 'until = "75 ms"\ndict = 1'), r"^run\.dict: unknown key \(did you mean 'dt'\?\)"),
    "empty key": (swapped('until = "75 ms"', 'until = "75 ms"\n"" = 1'), r'^run\."": unknown key'),
    "line in a key": (swapped('until = "75 ms"', 'until = "75 ms"\n"a\\nb" = 1'), r'^run\."a\\nb": unknown key'),
    "no threads": (swapped('until = "75 ms"', 'until = "75 ms"\nthreads = 0'), r"^run\.threads: 0 must be > 0"),
    "loose": (swapped('until = "75 ms"', 'until = "75 ms"\ntolerance = 2.0'), r"^run\.tolerance: 2 is no relative error of a speed"),
    "infinite": (swapped('until = "75 ms"', 'until = "75 ms"\ntolerance = 1e999'), r"^run\.tolerance: inf is not finite"),
    "empty": ("", r"^is empty \(write a template"),
    "comments only": ("\n# nothing\n\n", r"^is empty"),
    "JSON": ('{"mesh": {"kind": "neurite"}}', r"^looks like JSON, expected TOML"),
    "JSON list": ('[{"mesh": 1}]', r"^looks like JSON"),
    "YAML": ("---\nmesh:\n  kind: neurite\nspecies:\n  - name: ca\n", r"^looks like YAML"),
    "SWC": ("# cell\n1 1 0 0 0 5 -1\n2 3 10 0 0 1 1\n", r"^looks like an SWC morphology: name it in a TOML file"),
    "XML": ('<?xml version="1.0"?>\n<neuroml></neuroml>', r"^looks like XML"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_told_with_the_fix_in_one_line(name):
    text, message = TOLD[name]
    lines = told(text)
    assert any(re.search(message, line) for line in lines), lines
    assert not any("\n" in line for line in lines)
    assert name == "dotted keys after a table" or len({line.split(":")[0] for line in lines}) == 1, lines


BYTES = {
    "UTF-16": (WAVE.encode("utf-16"), r"is UTF-16 text, TOML is UTF-8 \(save it with the encoding UTF-8\)"),
    "UTF-16 without a mark": (WAVE.encode("utf-16-le"), r"is no UTF-8 text, it has bytes of 0 \(if it is UTF-16, save it"),
    "UTF-32": (WAVE.encode("utf-32"), r"is UTF-32 text"),
    "netCDF": (b"\x89HDF\r\n\x1a\n" + bytes(50), r"is a netCDF or HDF5 file, expected a TOML file"),
    "archive": (b"PK\x03\x04" + bytes(50), r"is a ZIP archive"),
}


@pytest.mark.parametrize("name", BYTES)
def test_files_that_are_no_utf8_text(name, tmp_path):
    content, message = BYTES[name]
    (tmp_path / "wave.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"wave\.toml: " + message) as caught:
        load(tmp_path / "wave.toml")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_in_a_file(tmp_path):
    (tmp_path / "wave.toml").write_bytes(b"\xef\xbb\xbf" + WAVE.encode())
    assert load(tmp_path / "wave.toml")[1].until == 75.0


def test_devices_are_no_model_files():
    with pytest.raises(InputError, match="is no regular file"):
        load("/dev/zero")


PIECES = (
    *'"[]{}=.,#\n\r\t', "[[", "]]", "-1", "nan", "1e999", "true", "BALANCE", '"ca"', '"1 uM"', '"-1 uM"', '"0 um"', "0x" + "f" * 5000,
    "9" * 5000, "'''", '"""', "\\uD800", "\ufeff", "\u2028", '"a[0]"', '""', "1979-05-27", "25:61:00", "[]", "{a={b=1}}", "species", "mesh",
    "at", "str", '"mine.py:X"', '"my.npz"', '"/dev/zero"', '"\\n"', '"1e400 um"', '"1/0 uM"', '"1,5 uM"', '"1 (um"',
)  # fmt: skip


def mutant(text, rng):
    """A text with some of its lines, values, keys or letters changed, doubled, moved or lost."""
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        lines, at = text.split("\n"), rng.randrange(len(text) + 1)
        values = list(re.finditer(r"(?<== )[^#\n]+", text)) or list(re.finditer("", text))
        keys = list(re.finditer(r"\b\w+\b(?= *=)", text)) or list(re.finditer("", text))
        value, key, row = rng.choice(values), rng.choice(keys), rng.randrange(len(lines))
        moved = lines[:row] + lines[row + 1 :]
        moved.insert(rng.randrange(len(lines)), lines[row])
        text = rng.choice([
            text[:at] + rng.choice(PIECES) + text[at:],
            text[:at] + text[at + rng.choice([1, 5, 40]) :],
            text[:at] + chr(rng.randrange(0x2FFF)) + text[at + 1 :],
            text[: value.start()] + rng.choice([rng.choice(PIECES), rng.choice(values)[0]]) + text[value.end() :],
            text[: key.start()] + rng.choice([rng.choice(PIECES), rng.choice(keys)[0]]) + text[key.end() :],
            "\n".join(lines[:row] + lines[row + 1 :]),
            "\n".join([*lines[: row + 1], *lines[row:]]),
            "\n".join(moved),
        ])  # fmt: skip
    return text


@pytest.mark.parametrize("text", [WAVE, MODEL.replace('"0.25 um"', '"4 um"')], ids=["template", "demo"])
def test_whatever_is_changed_in_a_file_it_is_taken_or_refused(text, tmp_path):
    """300 changed files each; 8000 of them, some with bytes changed as well, were tried once."""
    taken = 0
    for seed in range(300):
        file = tmp_path / "wave.toml"
        file.write_bytes(mutant(text, random.Random(seed)).encode("utf-8", "surrogatepass"))
        try:
            load(file)
            taken += 1
        except InputError as error:
            for problem in getattr(error, "problems", [error]):
                assert "\n" not in str(problem), seed
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}") from error
    print(taken)
    assert 20 < taken < 250
