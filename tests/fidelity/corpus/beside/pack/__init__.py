import pack

from . import core
from .core import *
from .core import _hidden as shown

__all__ = ["core", "public", "Base"]


def version():
    return pack.core.VERSION
