# %%
import everything
import pack
import shapes
from shapes import Circle, Color, process

# %% task a_modules_function
everything.twice(4), everything.rows()

# %% task a_modules_class
Circle(2).area, process(Circle(1)), Color.RED.other()

# %% task an_instance_of_a_modules_class_comes_back
Circle(3, Color.BLUE)

# %% task an_import_of_a_local_module_in_the_cell
import shop
from rates import FACTOR

shop.total(2), FACTOR

# %% task the_same_class_imported_again
from shapes import Circle as Again

Again is Circle, isinstance(Circle(1), Again)

# %% task a_local_package
pack.version(), pack.public()

# %% task a_deep_import_in_the_cell
import pack.deep.leaf as leaf

leaf.Leaf().parent, leaf.value


# %%
def uses_a_module():
    import rates

    return rates.factor()


# %% task a_helper_that_imports
uses_a_module()

# %% task a_namespace_package_in_the_cell
from nsp.inner.tool import f

f()

# %% task a_module_attribute_set_in_the_cell
import state

state.options["digits"] = 1
state.rounded(2.345)

# %% task an_error_of_a_modules_class
shapes.refuse(Circle(1))

# %% task a_module_that_cannot_be_found
import not_there_at_all

# %% task a_file_beside_a_module_in_a_cell
everything.TABLE, everything.HERE.name

# %% task star_names_of_a_package
from pack import Base, core

Base().make().name, core.VERSION
