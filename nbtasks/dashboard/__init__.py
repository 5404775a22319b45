"""The dashboard's scripts and style, for both of its homes: a cell of a notebook, and a page of its own."""
