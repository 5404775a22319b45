"""What the standard library has."""

import argparse
import array
import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import email.message
import enum
import fractions
import functools
import http
import http.cookies
import inspect
import io
import ipaddress
import itertools
import logging
import operator
import pathlib
import random
import re
import signal
import string
import threading
import time
import typing
import urllib.parse
import uuid
import xml.etree.ElementTree as ET
import zipfile
import zoneinfo

from notebook import value

defaults = collections.defaultdict(list, a=[1])
parser = argparse.ArgumentParser(prog="p", description="d")
parser.add_argument("--n", type=int, default=1)
message = email.message.EmailMessage()
message["Subject"] = "s"
message.set_content("body")

value(
    a_date=dt.date(2024, 2, 29),
    a_time=dt.time(1, 2, 3, 4, fold=1),
    a_datetime=dt.datetime(1, 1, 1),
    a_datetime_with_a_zone=dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    a_datetime_in_the_fold=dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=dt.timezone.utc),
    a_timedelta=dt.timedelta(days=-1, microseconds=1),
    a_timezone=dt.timezone(dt.timedelta(minutes=-90), "odd"),
    a_zone=zoneinfo.ZoneInfo("UTC"),
    a_decimal=decimal.Decimal("1.10"),
    a_decimal_zero=decimal.Decimal("-0.00"),
    a_decimal_nan=decimal.Decimal("sNaN"),
    a_decimal_context=decimal.Context(prec=7, rounding=decimal.ROUND_UP),
    a_fraction=fractions.Fraction(-1, 3),
    a_uuid=uuid.UUID(int=7),
    a_path=pathlib.Path("a/../b"),
    a_pure_path=pathlib.PureWindowsPath("C:/x"),
    a_pattern=re.compile(r"(?P<n>\d+)", re.I | re.X),
    a_counter=collections.Counter("abca"),
    an_ordered_dict=collections.OrderedDict([("b", 1), ("a", 2)]),
    a_defaultdict=defaults,
    a_defaultdict_with_a_lambda=collections.defaultdict(lambda: [0], b=1),
    a_deque=collections.deque([1, 2], maxlen=5),
    a_chain_map=collections.ChainMap({"a": 1}, {"b": 2}),
    a_user_dict=collections.UserDict(a=1),
    an_array=array.array("f", [1.5, -0.0]),
    a_long_array=array.array("q", range(20_000)),
    a_partial=functools.partial(int, base=2),
    a_partial_of_a_lambda=functools.partial(lambda a, b: a - b, b=1),
    an_itemgetter=operator.itemgetter(1, "a"),
    an_attrgetter=operator.attrgetter("a.b"),
    a_methodcaller=operator.methodcaller("split", ","),
    a_count=itertools.count(5, 2),
    a_repeat=itertools.repeat("x", 3),
    a_bytes_io=io.BytesIO(b"abc"),
    a_string_io=io.StringIO("abc"),
    an_ip_address=ipaddress.ip_address("::1"),
    an_ip_network=ipaddress.ip_network("10.0.0.0/8"),
    a_parsed_url=urllib.parse.urlparse("http://u@h:1/p?q#f"),
    an_http_status=http.HTTPStatus.NOT_FOUND,
    a_cookie=http.cookies.SimpleCookie("a=1"),
    a_signal=signal.SIGINT,
    regex_flags=re.I | re.M,
    a_parser=parser,
    parsed_arguments=parser.parse_args(["--n", "4"]),
    a_logger=logging.getLogger("some.logger"),
    a_log_record=logging.makeLogRecord({"msg": "a %s", "args": ("b",)}),
    a_template=string.Template("$a"),
    a_struct_time=time.gmtime(0),
    an_xml_element=ET.fromstring("<a x='1'><b>t</b></a>"),
    a_mail=message,
    a_signature=inspect.signature(lambda a, *, b=1: None),
    a_zip_info=zipfile.ZipInfo("a.txt", (2024, 1, 1, 0, 0, 0)),
    an_optional=typing.Optional[int],
    a_callable_type=typing.Callable[[int], str],
    a_literal=typing.Literal["a", 1],
    a_type_variable=typing.TypeVar("T", int, str),
    an_any=typing.Any,
    the_missing_of_dataclasses=dataclasses.MISSING,
    an_auto_of_enum=enum.auto().value,
    a_cancelled_error=asyncio.CancelledError("c"),
    a_timeout_error=asyncio.TimeoutError(),
    a_seeded_state=random.Random(4).getstate(),
    a_lock=threading.Lock(),
    a_file_open_for_reading=open(__file__ if "__file__" in globals() else "/dev/null"),
)
