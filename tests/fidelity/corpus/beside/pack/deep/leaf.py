from ..core import Base

value = 1


class Leaf(Base):
    name = "leaf"

    def __init__(self):
        super().__init__()
        self.parent = __class__.__mro__[1].__name__
