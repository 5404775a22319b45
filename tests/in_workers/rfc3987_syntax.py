"""In the place of a library that jsonschema takes where it is there, to check addresses of a kind that nobody has here.

It takes two seconds to import, in every process that reads a notebook: Jupyter's servers, nbconvert, papermill.
"""

raise ImportError("left out in tests")
