"""What Python itself has."""

import types

from notebook import value

loop = [1, 2]
loop.append(loop)
shared = ["shared"]
knot = {"a": 1}
knot["self"] = knot
deep = []
for _ in range(100):
    deep = [deep]


def gives(n, *, scale=2):
    """Multiplies."""
    return n * scale


def counting(n):
    while n:
        yield n
        n -= 1


def outer():
    inside = [1]

    def inner():
        return inside

    return inner


def cyclic():
    def one(n):
        return two(n - 1) if n else "one"

    def two(n):
        return one(n - 1) if n else "two"

    return one


value(
    none=None,
    true=True,
    an_ellipsis=...,
    not_implemented=NotImplemented,
    zero=0,
    minus_one=-1,
    beyond_64_bits=2**64 + 1,
    a_huge_int=10**6000,
    minus_zero=-0.0,
    nan=float("nan"),
    infinity=float("-inf"),
    the_smallest_float=5e-324,
    a_complex=complex(-0.0, float("nan")),
    an_empty_text="",
    a_text="ä€😀\x00\n",
    a_surrogate="\ud800",
    a_long_text="lang" * 100_000,
    some_bytes=b"\x00\xff",
    long_bytes=bytes(200_000),
    a_bytearray=bytearray(b"abc"),
    a_long_bytearray=bytearray(100_000),
    a_list=[1, "two", 3.0],
    an_empty_list=[],
    a_tuple=(1, (2, (3,))),
    an_empty_tuple=(),
    a_set={1, "a", None},
    a_frozenset=frozenset({frozenset(), 1}),
    a_dict={"a": 1, 2: "b", (3,): None, None: True},
    a_dict_in_another_order={"b": 1, "a": 2},
    a_dict_of_true_and_floats={1.0: "a", False: "b"},
    a_list_in_itself=loop,
    a_dict_in_itself=knot,
    one_object_twice=[shared, shared, {"again": shared}],
    a_hundred_lists_deep=deep,
    a_range=range(10, 0, -3),
    a_slice=slice(1, None, 2),
    an_iterator_of_a_list=iter([1, 2, 3]),
    an_iterator_half_used=(lambda i: (next(i), i)[1])(iter(range(5))),
    a_zip=zip([1, 2], "ab"),
    an_enumerate=enumerate("ab", 3),
    a_reversed=reversed([1, 2]),
    a_map=map(abs, [-1, -2]),
    a_filter=filter(None, [0, 1]),
    a_view_of_bytes=memoryview(b"abc"),
    a_builtin_function=len,
    a_method_of_a_builtin=[1, 2].append,
    a_method_of_a_class=str.upper,
    a_type=int,
    a_union=int | None,
    a_generic_alias=list[int],
    a_function=gives,
    a_lambda=lambda x, y=1: x + y,
    a_closure=outer(),
    functions_that_know_each_other=cyclic(),
    a_generator_function=counting,
    a_generator=counting(2),
    a_simple_namespace=types.SimpleNamespace(a=1, b=[2]),
    a_mapping_proxy=types.MappingProxyType({"a": 1}),
    a_module=types,
    a_property=property(lambda self: 1, doc="told"),
    a_staticmethod=staticmethod(gives),
    an_exception=ValueError("text", 1),
    an_os_error=FileNotFoundError(2, "No such file", "x.txt"),
    a_unicode_error=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    keys_of_a_dict={"a": 1}.keys(),
    values_of_a_dict={"a": 1}.values(),
    many_small_ints=list(range(-300, 3000)),
    mixed_and_nested={"rows": [{"id": i, "tags": ("a", b"b", {i})} for i in range(20)]},
)
