"""Headers of frames: what goes in comes out."""

from __future__ import annotations

import json
import struct

import pytest

from nbtasks import SignatureMismatch
from nbtasks.wire.frames import CHUNK, CONTROL, EVENT, FUNCTION, LABEL, RESULT, Sealer
from nbtasks.wire.signing import Keyring, new_key


def test_a_header_is_json_and_comes_back_as_it_was():
    header = {
        "text": 'quotes " and \\ and ü and \u2028 and \x00',
        "numbers": 3,
        "negative": -1,
        "large": 2**70,
        "time": 1.5,
        "none": None,
        "yes": True,
        "no": False,
        "nested": {"1": [["o", "tät"]]},
    }
    sealer = Sealer(Keyring([new_key()]), "here")
    frame = sealer.seal(EVENT, header, b"body")
    found, body = sealer.open(EVENT, frame, text=header["text"], none=None)
    assert found == header
    assert bytes(body) == b"body"
    # "NB2", the kind, the key's id, then the header's length.
    (length,) = struct.unpack_from("<I", frame, 8)
    assert json.loads(frame[12 : 12 + length]) == header


@pytest.mark.parametrize("magic", [b"NB1", b"NB3"])
@pytest.mark.parametrize("kind", [FUNCTION, CHUNK, RESULT, EVENT, CONTROL, LABEL])
def test_what_another_version_has_written_is_refused_in_words(kind, magic):
    sealer = Sealer(Keyring([new_key()]), "here")
    frame = sealer.seal(kind, {"b": "b1"})
    assert frame.startswith(b"NB2")
    with pytest.raises(
        SignatureMismatch, match=r"record has an unknown format; both sides need the same nbtasks"
    ):
        sealer.open(kind, magic + frame[3:])
