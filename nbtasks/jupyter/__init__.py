"""Make cells tasks and events visible.

The only room that imports IPython, ipywidgets and anywidget, and each of them only where it is needed.
"""

from __future__ import annotations
