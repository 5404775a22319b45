"""Keys, keyrings and frames: what is not signed by us, whole and as asked for, is refused before it is read."""

from __future__ import annotations

import hmac
import os

import pytest

from nbtasks import ConfigError, SignatureMismatch
from nbtasks.wire import frames
from nbtasks.wire.frames import CHUNK, RESULT, Sealer
from nbtasks.wire.signing import KEY_BYTES, Keyring, decode_key, encode_key, key_id, new_key


def test_a_key_as_text_and_back(key):
    text = encode_key(key)
    assert len(text) == 43
    assert decode_key(f" {text}\n") == key


@pytest.mark.parametrize("text", ["", "abc", "!" * 43, "A" * 42, "A" * 44, "schlüssel"])
def test_a_broken_key_is_refused_and_not_repeated(text):
    with pytest.raises(ConfigError) as caught:
        decode_key(text)
    assert "43 characters" in str(caught.value)
    if text:
        assert text not in str(caught.value)


def test_a_key_id_says_nothing_of_the_key(key):
    assert len(key_id(key)) == 8
    assert key_id(key) != key_id(new_key())
    assert key_id(key) not in key.hex()


def test_a_keyring_shows_no_key(key):
    shown = repr(Keyring([key]))
    assert encode_key(key) not in shown
    assert key.hex() not in shown


def test_a_keyring_needs_a_key():
    with pytest.raises(ConfigError, match="no signing key"):
        Keyring([])


def test_a_frame_comes_back_as_it_was_sealed(sealer):
    frame = sealer.seal(CHUNK, {"b": "x", "n": 3}, b"body ", memoryview(b"in parts"))
    header, body = sealer.open(CHUNK, frame, b="x")
    assert header == {"b": "x", "n": 3}
    assert bytes(body) == b"body in parts"


def test_no_byte_of_a_frame_can_be_changed(sealer):
    frame = sealer.seal(CHUNK, {"b": "x"}, b"body")
    for place in range(len(frame)):
        bent = bytearray(frame)
        bent[place] ^= 1
        with pytest.raises(SignatureMismatch):
            sealer.open(CHUNK, bytes(bent), b="x")


def test_no_part_of_a_frame_can_be_missing_or_added(sealer):
    frame = sealer.seal(CHUNK, {"b": "x"}, b"body")
    for length in range(len(frame)):
        with pytest.raises(SignatureMismatch):
            sealer.open(CHUNK, frame[:length])
    with pytest.raises(SignatureMismatch):
        sealer.open(CHUNK, frame + b"!")


def test_a_frame_of_another_kind_is_refused(sealer):
    frame = sealer.seal(RESULT, {"b": "x"})
    with pytest.raises(SignatureMismatch, match="a result record stands where a chunk record belongs"):
        sealer.open(CHUNK, frame)


def test_a_valid_frame_of_another_call_is_refused(sealer):
    frame = sealer.seal(RESULT, {"b": "mine"})
    with pytest.raises(SignatureMismatch, match="'mine' stands where one of 'yours' belongs"):
        sealer.open(RESULT, frame, b="yours")


def test_a_frame_of_another_namespace_is_refused(key, sealer):
    frame = sealer.seal(CHUNK, {"b": "x"})
    with pytest.raises(SignatureMismatch):
        Sealer(Keyring([key]), "other").open(CHUNK, frame)


def test_a_frame_of_an_unknown_key_names_both_ids_and_the_fix(sealer, key):
    stranger = new_key()
    frame = Sealer(Keyring([stranger]), "test").seal(CHUNK, {})
    with pytest.raises(SignatureMismatch) as caught:
        sealer.open(CHUNK, frame)
    assert key_id(stranger) in str(caught.value)
    assert key_id(key) in str(caught.value)
    assert "NBTASKS_KEY" in str(caught.value)


def test_keys_are_rotated_by_accepting_the_old_one_for_a_while():
    old, new = new_key(), new_key()
    before, between, after = (Sealer(Keyring(keys), "test") for keys in ([old], [new, old], [new]))
    between.open(CHUNK, before.seal(CHUNK, {}))
    after.open(CHUNK, between.seal(CHUNK, {}))
    with pytest.raises(SignatureMismatch):
        after.open(CHUNK, before.seal(CHUNK, {}))


def test_an_unknown_format_asks_for_the_same_version(sealer):
    frame = sealer.seal(CHUNK, {})
    with pytest.raises(SignatureMismatch, match="same nbtasks"):
        sealer.open(CHUNK, b"NB9" + frame[3:])


def test_the_magic_is_what_is_on_the_wire(sealer):
    assert sealer.seal(CHUNK, {}).startswith(frames.MAGIC + b"C")


@pytest.mark.parametrize(
    "parts", [(b"",), (b"scope", b"frame" * 50), (b"a", memoryview(b"b" * 64), b"c" * 3000)]
)
def test_the_mac_is_that_of_the_standard_library(parts):
    key = os.urandom(KEY_BYTES)
    keyring = Keyring([key])
    assert keyring.sign(keyring.signing_id(), *parts) == hmac.digest(key, b"".join(parts), "sha256")
