"""numpy, pandas and the like."""

import numpy as np
import pandas as pd
from notebook import item

a = np.arange(6.0).reshape(2, 3)
big = np.zeros(400_000)
big[0] = 1
df = pd.DataFrame({"a": [1, 2, 3], "b": list("xyx"), "when": pd.date_range("2024-01-01", periods=3)})
threshold = 1
vector = np.vectorize(lambda x: x + threshold, otypes=[float])


@pd.api.extensions.register_dataframe_accessor("geo")
class GeoAccessor:
    def __init__(self, frame):
        self._frame = frame

    @property
    def center(self):
        return float(self._frame["a"].mean())


@pd.api.extensions.register_series_accessor("twice")
class TwiceAccessor:
    def __init__(self, series):
        self._series = series

    def __call__(self):
        return self._series * 2


@item
def an_accessor_registered_in_the_notebook():
    return df.geo.center


@item
def a_series_accessor():
    return df["a"].twice()


@item
def a_vectorized_function():
    return vector(a), np.vectorize(len)(["a", "bb"])


@item
def a_captured_array():
    a[0, 0] += 5
    return a, a.sum()


@item
def a_captured_large_array_is_not_written_to():
    return big.sum(), big.dtype.str, big.shape


@item
def a_captured_large_array_that_is_written_to():
    big[1] += 1
    return float(big.sum())


@item
def a_captured_frame():
    df.loc[0, "a"] = 100
    return df, df.dtypes.astype(str).to_dict()


@item
def a_view_of_an_array():
    part = a[:, 1]
    part[0] = -1
    return a, part.base is a, np.shares_memory(a, part)


@item
def group_by():
    return df.groupby("b")["a"].agg(["sum", "mean"]), df.groupby("b").apply(
        lambda g: g["a"].max(), include_groups=False
    )


@item
def frames_joined_and_pivoted():
    wide = df.merge(pd.DataFrame({"b": ["x", "y"], "c": [1.5, None]}), on="b").pivot_table(
        index="b", values="c"
    )
    return wide, pd.concat([df, df], ignore_index=True), df.set_index(["a", "b"]).index


@item
def a_query_with_a_variable():
    return df.query("a > @threshold")


@item
def a_query_without_one():
    return df.query("a > 1 and b == 'x'"), df.eval("a * 2")


@item
def apply_with_a_lambda():
    return (
        df["a"].apply(lambda x: x + threshold),
        df.apply(lambda row: f"{row['a']}{row.b}", axis=1),
        df.pipe(len),
    )


@item
def categories_and_times():
    c = df["b"].astype("category")
    return c, c.cat.codes, df["when"].dt.tz_localize("UTC"), df["when"].dt.to_period("M"), pd.Timedelta("1h")


@item
def missing_values():
    return pd.Series([1, None, 3]), pd.array([1, pd.NA], dtype="Int64"), pd.NaT, np.nan, pd.NA


@item
def numbers_of_numpy():
    return (
        np.float32(1.1),
        np.int8(-5),
        np.bool_(True),
        np.datetime64("2024-01-01"),
        np.float64("-0.0"),
        np.pi,
    )


@item
def structured_and_masked_arrays():
    s = np.array([(1, "a"), (2, "b")], dtype=[("n", "<i4"), ("s", "U3")])
    return (
        s,
        s["n"],
        np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]),
        np.rec.fromrecords([(1, 2.0)], names="a,b"),
    )


@item
def arrays_of_objects():
    return np.array([{"a": 1}, None, "x"], dtype=object), np.array(["a", "bcd"]), np.array([b"x"])


@item
def memory_order():
    f = np.asfortranarray(a)
    return f, a.T, np.ascontiguousarray(a.T), np.broadcast_to(np.arange(3), (2, 3))


@item
def random_numbers_with_a_seed():
    rng = np.random.default_rng(42)
    return rng.integers(0, 100, 5), rng.normal(size=2), np.random.RandomState(1).rand(2)


@item
def linear_algebra():
    q, r = np.linalg.qr(np.array([[2.0, 1.0], [1.0, 3.0]]))
    return np.round(abs(q @ r), 10), np.linalg.det(np.eye(3)), np.einsum("ij,kj->ik", a, a)


@item
def numpy_settings():
    with np.errstate(divide="ignore"), np.printoptions(precision=2):
        return np.array([1.0]) / 0, str(np.array([1.23456]))


@item
def a_polynomial_and_a_window():
    p = np.polynomial.Polynomial([1, 2, 3])
    return p(2), p.deriv().coef, np.hanning(5)


@item
def frames_with_odd_indexes():
    f = pd.DataFrame(
        [[1, 2], [3, 4]],
        index=pd.Index([10, 20], name="i"),
        columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
    )
    f.attrs["unit"] = "m"
    return f, f.T, f.stack(future_stack=True)


class Frame(pd.DataFrame):
    _metadata = ["origin"]

    @property
    def _constructor(self):
        return Frame


@item
def a_subclass_of_the_frame():
    f = Frame({"a": [1]})
    f.origin = "here"
    return type(f.copy()).__name__, f.copy().origin, f


class Tracked(np.ndarray):
    def __new__(cls, data, note=None):
        made = np.asarray(data).view(cls)
        made.note = note
        return made

    def __array_finalize__(self, source):
        self.note = getattr(source, "note", None)


@item
def a_subclass_of_the_array():
    t = Tracked([1, 2], note="n")
    return type(t * 2).__name__, (t * 2).note


@item
def ufuncs_of_the_notebook():
    add = np.frompyfunc(lambda x, y: x + y + threshold, 2, 1)
    return add(np.arange(3), 1), np.add.reduce([1, 2, 3]), np.multiply.outer([1, 2], [3])


@item
def csv_and_json_in_memory():
    import io

    text = df.to_csv(index=False)
    return text, pd.read_csv(io.StringIO(text)), df.drop(columns="when").to_json(orient="records")


@item
def a_figure():
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4], label="line")
    axes.set_title("t")
    plt.close(figure)
    return axes.get_title(), [list(line.get_ydata()) for line in axes.lines], type(figure).__name__


@item
def an_accessor_that_a_module_registers():
    import accessors

    return df.shop.total()


pd.set_option("display.precision", 2)


@item
def an_option_of_pandas():
    return pd.get_option("display.precision")
