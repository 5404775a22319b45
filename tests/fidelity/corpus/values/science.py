"""numpy and pandas."""

import numpy as np
import pandas as pd
from notebook import value

base = np.arange(12.0)
grid = base.reshape(3, 4)
read_only = np.arange(3)
read_only.flags.writeable = False
large = np.arange(300_000)
frame = pd.DataFrame(
    {"n": [1, 2, 3], "f": [0.5, np.nan, -0.0], "s": ["a", None, "c"], "b": [True, False, True]}
)
frame.attrs["unit"] = {"n": "m"}
levels = frame[["n", "f"]].copy()
levels.columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["u", None])
times = pd.date_range("2024-03-30", periods=3, freq="D", tz="UTC")


class Note:
    def __init__(self, text):
        self.text = text


value(
    an_array_of_ints=np.array([1, 2, 3]),
    an_array_without_dimensions=np.array(5.0),
    an_empty_array=np.empty((0, 3)),
    a_fortran_array=np.asfortranarray(grid),
    a_transposed_array=grid.T,
    a_strided_array=base[::2],
    a_reversed_array=base[::-1],
    a_broadcast_array=np.broadcast_to(np.arange(3), (2, 3)),
    a_read_only_array=read_only,
    a_large_array=large,
    a_large_fortran_array=np.asfortranarray(large.reshape(1000, 300)),
    a_large_strided_array=large[::3],
    nan_and_minus_zero=np.array([np.nan, -0.0, np.inf]),
    booleans=np.array([True, False]),
    half_precision=np.array([1.1], dtype=np.float16),
    small_unsigned_numbers=np.array([255], dtype=np.uint8),
    big_endian_numbers=np.array([1, 2], dtype=">i4"),
    complex_numbers=np.array([1j, -0.0j]),
    long_doubles=np.array([1.0], dtype=np.longdouble),
    texts=np.array(["a", "bcd"]),
    bytes_in_an_array=np.array([b"a", b"bc"]),
    dates_of_numpy=np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    durations_of_numpy=np.array([1, 2], dtype="timedelta64[ms]"),
    objects=np.array([{"a": 1}, None, Note("n")], dtype=object),
    records=np.array([(1, 0.5)], dtype=[("a", "<i2"), ("b", "<f4")]),
    nested_records=np.zeros(2, dtype=[("p", [("x", "f8"), ("y", "f8")]), ("m", "i4", (2, 2))]),
    aligned_records=np.zeros(1, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    a_record_array=np.rec.fromrecords([(1, 2.0)], names="a,b"),
    a_masked_array=np.ma.masked_array([1.0, 2.0], mask=[True, False], fill_value=-1),
    a_float32=np.float32(1.1),
    an_int8=np.int8(-1),
    a_bool_of_numpy=np.bool_(False),
    a_datetime64=np.datetime64("2024-01-01T00:00:00.000000001"),
    a_not_a_time=np.datetime64("NaT"),
    a_str_of_numpy=np.str_("s"),
    a_void=np.void(b"ab"),
    a_dtype=np.dtype([("a", "<i4")]),
    a_kind_of_number=np.float32,
    a_ufunc=np.add,
    a_vectorized_lambda=np.vectorize(lambda x: x + 1),
    a_polynomial=np.polynomial.Polynomial([1, 2]),
    an_array_and_its_view=[base, base],
    arrays_in_a_dict={"a": np.ones(2), "b": {"c": np.zeros((2, 2), dtype="f4")}},
    a_seed_sequence=np.random.SeedSequence(5),
    a_series=pd.Series([1, 2], index=["x", "y"], name="n"),
    a_series_without_anything=pd.Series([], dtype=float),
    a_series_of_texts=pd.Series(["a", None]),
    a_series_of_objects=pd.Series([Note("a"), [1]], dtype=object),
    a_frame=frame,
    an_empty_frame=pd.DataFrame(columns=["a"]),
    a_frame_with_a_multiindex=frame.set_index(["n", "b"]),
    a_frame_with_column_levels=levels,
    a_frame_with_the_same_column_twice=frame[["n", "n"]],
    a_large_frame=pd.DataFrame({"x": np.arange(50_000), "y": np.arange(50_000) * 0.5}),
    a_column_of_a_frame=frame["f"],
    a_slice_of_a_frame=frame.iloc[::2, 1:],
    categories=pd.Series(pd.Categorical(["b", "a"], categories=["b", "a", "c"], ordered=True)),
    nullable_ints=pd.array([1, None], dtype="Int64"),
    nullable_booleans=pd.array([True, None], dtype="boolean"),
    strings_of_pandas=pd.array(["a", None], dtype="string"),
    intervals=pd.cut(pd.Series([1, 5, 9]), 3),
    periods=pd.period_range("2024-01", periods=2, freq="M"),
    times_with_a_zone=times,
    a_series_of_times=pd.Series(times),
    durations=pd.to_timedelta(["1h", None]),
    sparse_numbers=pd.Series(pd.arrays.SparseArray([0, 0, 1])),
    a_range_index=pd.RangeIndex(1, 10, 2, name="r"),
    an_index_of_numbers=pd.Index([1, 2], dtype="int32", name=("a", 1)),
    an_index_of_categories=pd.CategoricalIndex(["a", "b"]),
    an_interval=pd.Interval(0, 1, closed="both"),
    a_timestamp=pd.Timestamp("2024-01-01", tz="UTC"),
    a_timedelta_of_pandas=pd.Timedelta("1 days 2 ns"),
    a_period=pd.Period("2024Q1"),
    not_a_time=pd.NaT,
    not_available=pd.NA,
    an_offset=pd.offsets.BusinessDay(2),
    a_dtype_of_pandas=pd.CategoricalDtype(["a"], ordered=True),
    groups_of_a_frame=frame.groupby("b").groups,
)
