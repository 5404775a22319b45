VALUE = "lazy"


def __getattr__(name):
    if name == "asked":
        return "made when asked for"
    raise AttributeError(name)


def f():
    return VALUE
