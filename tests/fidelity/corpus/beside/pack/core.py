import pack

__all__ = ["Base", "public"]
VERSION = "1.2"
_secret = 42


def public():
    from .deep.leaf import value

    return value + _hidden()


def _hidden():
    return _secret


class Base:
    def make(self):
        from .deep import leaf

        return leaf.Leaf()

    def top(self):
        return pack.version()
