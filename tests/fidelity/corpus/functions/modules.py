"""Modules that lie beside the notebook, and imports in every place."""

import importlib
import math as m
import os.path
import xml.etree.ElementTree as ET
from pathlib import Path

import configured
import everything
import first
import lazy
import pack
import pack.deep.leaf as the_leaf
import shapes
import shop
import state
import views
import webapp
from everything import Guarded, Special, twice
from everything import fib as fibonacci
from notebook import item
from pack import Base as PackBase
from pack import public
from shapes import Circle, Color, Disc, process


@item
def a_function_of_a_module():
    return twice(4), twice.__module__


@item
def a_module_with_things_that_no_pickle_carries():
    return everything.twice(3), everything.rows(), everything.local.depth, everything.current.get()


@item
def a_file_beside_a_module():
    return everything.TABLE, everything.HERE.name, (everything.HERE / "table.csv").read_text()


@item
def a_cached_function_of_a_module():
    return fibonacci(20), everything.fib is fibonacci


@item
def a_logger_of_a_module():
    return everything.log.name, everything.log.level


@item
def a_module_that_knows_itself():
    return everything.me is everything, everything.me.twice(1), everything.__name__


@item
def iterators_of_a_module():
    return next(everything.numbers) >= 10, everything.pattern.findall("a1b22"), everything.settings.deep["a"]


@item
def single_dispatch_of_a_module():
    return everything.kind(1), everything.kind("a"), everything.parser.parse_args([]).deep


@item
def a_class_with_a_lock():
    made = Guarded.made
    Guarded()
    return Guarded.made - made, sorted(everything.registry)


@item
def a_register_of_a_module():
    return everything.registry["subclass Special"] is Special, everything.registry["twice"](2)


@item
def the_same_class_by_both_ways():
    return process(Circle(1.0)), process(Disc(1.0, Color.BLUE))


@item
def a_class_imported_in_the_body():
    from shapes import Circle as Again

    return Again is Circle, isinstance(Circle(1), Again), shapes.Color.RED is Color.RED


@item
def an_instance_of_a_modules_class():
    return Circle(2.0, Color.BLUE, ["t"]), Circle(1.0).area, Color.RED.other()


@item
def modules_that_use_each_other():
    return shop.total(10), first.ping(5), first.second.first is first


@item
def a_package():
    return pack.version(), public(), shown_is_there(), PackBase().make().name, PackBase().top()


def shown_is_there():
    return pack.shown()


@item
def a_deep_module_under_another_name():
    return the_leaf.value, the_leaf.Leaf().parent, the_leaf.__name__, isinstance(the_leaf.Leaf(), PackBase)


@item
def imports_in_the_body():
    import pack.deep.leaf
    from pack import core
    from pack.deep import leaf as other

    return pack.deep.leaf is other, core.VERSION, other.value


def helper():
    import rates
    from nsp.inner.tool import f

    return rates.factor(), f()


@item
def an_import_in_a_helper():
    return helper()


class Importer:
    def go(self):
        from rates import FACTOR

        return FACTOR


@item
def an_import_in_a_method():
    return Importer().go(), (lambda: __import__("rates").FACTOR)()


@item
def a_namespace_package():
    import nsp.inner.tool

    return nsp.inner.tool.f()


@item
def import_module():
    return importlib.import_module("lazy").f(), importlib.import_module(".deep.leaf", "pack").value


@item
def an_attribute_made_by_the_module():
    return lazy.asked, lazy.f()


@item
def an_attribute_that_the_module_does_not_have():
    return lazy.unknown


@item
def a_module_that_is_not_there():
    import not_to_be_found


@item
def aliases_of_standard_modules():
    return m.floor(2.5), os.path.join("a", "b"), ET.fromstring("<a><b/></a>").find("b").tag


@item
def options_in_a_module():
    return state.rounded(1.2345), state.options


@item
def the_file_of_a_module():
    from pathlib import Path

    return Path(shapes.__file__).name, shapes.__spec__.name, shapes.__package__, the_leaf.__package__


@item
def the_source_of_a_module():
    import inspect

    return inspect.getsource(shapes.process), inspect.getmodule(shapes.process).__name__


@item
def a_module_comes_back():
    return shapes, m


@item
def functions_of_modules_come_back():
    return twice, process, Circle.area, m.floor


@item
def pickled_in_the_call():
    import copy
    import pickle

    circle = Circle(1.5, Color.BLUE)
    again = pickle.loads(pickle.dumps(circle))
    return again == circle, type(again) is Circle, again.color is Color.BLUE, copy.deepcopy(circle)


@item
def names_of_the_main_module():
    return __name__, twice.__globals__["__name__"], Circle.__module__


configured.level = 7


@item
def an_attribute_that_the_notebook_has_set_in_a_module():
    return configured.deeper()


@item
def a_counter_in_a_module():
    return state.add()


@item
def one_module_by_two_imports():
    import state as again

    return again is state, state.add() > 0, again.count == state.count


Path("level.txt").write_text("as the notebook has read it")
import levels

Path("level.txt").write_text("as it is by now")


@item
def a_file_read_at_the_top_of_a_module():
    return levels.LEVEL


@item
def what_another_module_registers():
    return sorted(webapp.routes)


@item
def what_a_module_registers_that_the_task_imports():
    import views

    return views.route is webapp.route, "index" in webapp.routes
