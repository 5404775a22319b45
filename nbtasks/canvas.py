"""Signatures and what is made of them, where Celery has them: ``from nbtasks.canvas import chain``."""

from nbtasks.client.canvas.algebra import chain, chord, group
from nbtasks.client.canvas.sequence import chunks, xmap, xstarmap
from nbtasks.client.canvas.signature import Signature, maybe_signature, signature, subtask

__all__ = [
    "Signature",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
