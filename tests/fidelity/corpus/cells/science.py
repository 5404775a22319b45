# %%
import numpy as np
import pandas as pd

a = np.arange(6).reshape(2, 3)
df = pd.DataFrame({"k": ["x", "y", "x"], "v": [1.0, 2.0, np.nan]})
limit = 1

# %% task an_array
a * 2

# %% task an_array_written_to
a[0] = 9
a.sum(), a

# %% task a_frame_with_a_new_column
df["w"] = df["v"] * 2
df

# %% task a_frame_assigned_anew
df = df.dropna()
df.shape, df

# %% task group_by_in_a_cell
df.groupby("k")["v"].sum()

# %% task a_query
df.query("v > @limit")

# %% task a_query_with_a_name_of_the_cell
threshold = 0.5
df.query("v > @threshold and k == 'x'")

# %% task an_eval
df.eval("v * @limit + 1")

# %% task apply_in_a_cell
df["k"].apply(lambda k: k.upper() * limit), df.apply(lambda row: len(row), axis=1)

# %% task numbers_with_a_seed
rng = np.random.default_rng(0)
rng.random(3)

# %% task seeded_global_numbers
np.random.seed(1)
np.random.rand(2)

# %% task describe
df.describe()

# %% task print_of_a_frame
print(df)
print(a)

# %% task merge
df.merge(pd.DataFrame({"k": ["x"], "z": [7]}), on="k", how="left")

# %% task scalars_of_numpy
a.max(), a.mean(), np.float32(0.1), a.shape

# %% task dates
pd.to_datetime(["2024-01-01", "2024-02-29"]), pd.Timestamp("2024-01-01") + pd.Timedelta(days=1)

# %% task a_mask
a[a > 2], np.where(a > 2, a, 0)

# %% task broadcasting_and_axis
a + np.array([[10], [20]]), a.sum(axis=0), np.stack([a, a]).shape


# %% task a_custom_function_vectorized
@np.vectorize
def clipped(v):
    return min(v, limit)


clipped(a)

# %% task assign_and_pipe
df.assign(z=lambda d: d["v"] + limit).pipe(lambda d: d[["z"]])

# %%
big = np.ones(200_000)

# %% task a_large_array
big.sum()

# %% task a_large_array_written_to
big[:5] = 0
big.sum()
