"""Hostile pickles in an otherwise honest archive: refused by their opcodes, never unpickled."""

from __future__ import annotations

from calcium_sim.admission.admit import admit_bytes

OBJECT = b"\x80\x02c__torch__\nOpen\nq\x00)\x81}(ubq\x01."
PICKLES = {
    "os.system": b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
    "builtins": b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
    "torch.load": b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00a\x85R.",
    "other torch name": b"\x80\x02ctorch.jit._pickle\nbuild_tensor_from_id\nK\x00\x85R.",
    "type tag": b"\x80\x02ctorch.jit._pickle\nrestore_type_tag\n)X\x01\x00\x00\x00a\x86R.",
    "protocol 4 stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "INST": b"\x80\x02(ios\nsystem\n.",
    "OBJ": b"\x80\x02(cos\nsystem\no.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"\x80\x02Pabc\n.",
    "NEWOBJ_EX": b"\x80\x02c__torch__\nOpen\n)}\x92.",
    "LONG4": b"\x80\x02\x8b\x04\x00\x00\x00\x01\x00\x00\x00.",
    "large LONG1": b"\x80\x02\x8a\x20" + b"\x7f" * 32 + b".",
    "text protocol": b"I1\n.",
    "truncated": OBJECT[:-3],
    "no stop": OBJECT[:-1],
    "data after the end": OBJECT + b"x",
    "two pickles": OBJECT + OBJECT,
    "empty": b"",
    "not an object": b"\x80\x02K\x01.",
    "other class": OBJECT.replace(b"Open", b"Evil"),
    "not built": b"\x80\x02c__torch__\nOpen\n)\x81.",
    "extra attribute": b"\x80\x02c__torch__\nOpen\n)\x81}X\x01\x00\x00\x00aK\x01sb.",
    "odd attribute": b"\x80\x02c__torch__\nOpen\n)\x81}X\x0a\x00\x00\x00__class__ K\x01sb.",
    "built twice": b"\x80\x02c__torch__\nOpen\n)\x81}b}b.",
    "state of a name": b"\x80\x02c__torch__\nOpen\n}b.",
    "underflow": b"\x80\x02\x85.",
    "memo missing": b"\x80\x02h\x07.",
    "deep tuples": b"\x80\x02)" + b"\x85" * 5000 + b".",
    "many marks": b"\x80\x02" + b"(" * 5000 + b".",
    "billion laughs": b"\x80\x02)q\x00" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(60)) + b".",
    "list in itself": b"\x80\x02]q\x00h\x00a.",
    "storage missing": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x02\x00\x00\x0099X\x03\x00\x00\x00cpuK\x01tQ.",
    "storage on a GPU": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x04\x00\x00\x00cudaK\x01tQ.",
    "half storage": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
}


def test_hostile_pickles_are_refused(tools, check_refused) -> None:
    """The same pickles as the module's data and as its constants."""
    files = {}
    for k, v in PICKLES.items():
        files[f"data: {k}"] = tools.pack(tools.simple(**{"data.pkl": v, "data/0": bytes(4)}))
        files[f"constants: {k}"] = tools.pack(tools.simple(**{"constants.pkl": v, "constants/0": bytes(4)}))
    told = check_refused(files)
    assert "global os.system is not permitted" in told["data: os.system"]
    assert "opcode EXT1" in told["data: EXT1"]


TENSOR = (
    b"\x80\x02(ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK%ctQ"
    b"K%c(K%ct(K%ct\x89ccollections\nOrderedDict\n)RtRt."
)


def test_tensors_must_lie_inside_their_storage(tools, check_refused) -> None:
    """Items, offset, size and stride that reach outside 4 items, or repeat one item a thousand times."""
    honest = tools.pack(tools.simple(**{"constants.pkl": TENSOR % (4, 0, 4, 1), "constants/0": bytes(16)}))
    assert admit_bytes(honest, "a.pt").card.name == "test/open"
    lies = {"items": (9, 0, 4, 1), "offset": (4, 1, 4, 1), "size": (4, 0, 5, 1), "stride": (4, 0, 4, 2), "expanded": (4, 0, 200, 0)}
    check_refused({k: tools.pack(tools.simple(**{"constants.pkl": TENSOR % v, "constants/0": bytes(16)})) for k, v in lies.items()})
