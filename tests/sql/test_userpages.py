"""What the pages about SQLite, and about MariaDB and MySQL, show and promise, as a user has it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nbtasks import App
from tests.carriers.pages import run_page
from tests.servers.mariadb import PASSWORD
from tests.sql.conftest import KEY

PAGES = Path(__file__).parents[2] / "docs"


def test_the_page_about_sqlite_runs_as_it_stands(project):
    run_page("sqlite.md", project, {})
    assert (project / "tasks.db").exists()


@pytest.mark.long
def test_the_page_about_mariadb_runs_as_it_stands(mariadb_url, project):
    run_page("mariadb.md", project, {"mysql://localhost/app": mariadb_url})


@pytest.mark.long
def test_the_rights_that_the_page_names_are_enough(mariadb_server, new_app, project):
    text = re.search(r"^```sql\n(.*?)^```$", (PAGES / "mariadb.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    text = (
        text.replace("'...'", f"'{PASSWORD}'").replace(" app", " rights").replace("nbtasks", "few@localhost")
    )
    with mariadb_server.admin() as admin:
        try:
            for statement in filter(str.strip, text.split(";")):
                admin.execute(statement)
            app = new_app(mariadb_server.url("rights", "few"))
            app.start_workers(1)
            assert app.task(abs).map([-1, -2]).get(timeout=100) == [1, 2]
            app.close()
        finally:
            admin.execute("DROP DATABASE IF EXISTS rights")
            admin.execute("DROP USER IF EXISTS few@localhost")


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


def test_a_connection_file_and_a_worker_that_is_given_the_url(url, project):
    Path("nbtasks.json").touch(mode=0o600)
    with App(broker=url, namespace="files", key=KEY) as app:
        file = {"url": app.connection.url, "keys": [KEY], "namespace": "files"}
        result = app.task(abs).delay(-4)
        for words in (["--connection-file", "nbtasks.json"], ["-b", url, "--namespace", "files"]):
            Path("nbtasks.json").write_text(json.dumps(file))
            worker = subprocess.Popen(
                [sys.executable, "-m", "nbtasks", "worker", *words, "-c", "1"], cwd=project
            )
            try:
                assert app.task(abs).delay(-4).get(timeout=100) == 4
            finally:
                worker.terminate()
                worker.wait(100)
    with App(connection_file="nbtasks.json") as other:
        assert other.AsyncResult(result.id).get(timeout=100) == 4


_WITHOUT = textwrap.dedent(
    """
    import sys
    sys.modules["pymysql"] = None
    from nbtasks import App, ConfigError
    with App(broker="mariadb://me:s3cr3t@host/tasks") as app:
        try:
            app.task(abs).delay(-1)
        except ConfigError as error:
            print(error)
    """
)


def test_a_library_that_is_missing_is_named_with_its_extra(project):
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], cwd=project, capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.startswith("a broker at mysql://host/tasks needs PyMySQL")
    assert done.stdout.endswith("pip install 'nbtasks[mysql]'\n")
    assert "s3cr3t" not in done.stdout
