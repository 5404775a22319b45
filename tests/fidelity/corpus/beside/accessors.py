"""Registers an accessor when it is imported."""

import pandas as pd


@pd.api.extensions.register_dataframe_accessor("shop")
class ShopAccessor:
    def __init__(self, frame):
        self._frame = frame

    def total(self):
        return int(self._frame["a"].sum())
