"""How many threads the libraries of a child compute with: all children together as many as there are CPUs.

BLAS, OpenMP and their like make as many threads as the machine has CPUs, each child for itself, and so many threads
slow each other down. They read a variable when they are imported, which is later.
"""

from __future__ import annotations

import os

from nbtasks.core.cpus import usable_cpus

_OPENMP = "OMP_NUM_THREADS"
#: These go by OpenMP's number where they have none of their own.
_LIKE_OPENMP = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OTHERS = ("VECLIB_MAXIMUM_THREADS", "POLARS_MAX_THREADS")


def share_cpus(children: int) -> None:
    """Divide the CPUs among this process's children; what the user has set stays as it is."""
    each = max(1, usable_cpus() // children)
    if each >= (os.cpu_count() or 1):
        return
    for name in (*(() if _OPENMP in os.environ else (_OPENMP, *_LIKE_OPENMP)), *_OTHERS):
        os.environ.setdefault(name, str(each))
