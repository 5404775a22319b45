"""A module as it lies beside a notebook: classes, an enum, an exception, and functions that use them."""

import enum
import math
from dataclasses import dataclass, field


class Color(enum.Enum):
    RED = 1
    BLUE = 2

    def other(self):
        return Color.BLUE if self is Color.RED else Color.RED


class ShapeError(ValueError):
    def __init__(self, message, shape=None):
        super().__init__(message)
        self.shape = shape


@dataclass
class Circle:
    radius: float
    color: Color = Color.RED
    tags: list = field(default_factory=list)

    @property
    def area(self):
        return math.pi * self.radius**2


class Disc(Circle):
    pass


def process(shape):
    from shapes import Circle

    return isinstance(shape, Circle), type(shape) is Circle, shape.color is Color.RED


def refuse(shape):
    raise ShapeError("not round", shape)
