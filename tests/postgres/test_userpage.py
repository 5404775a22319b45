"""What the page about PostgreSQL shows and promises, as a user has it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from nbtasks import App
from tests.carriers.pages import run_page
from tests.postgres.conftest import KEY

PAGE = Path(__file__).parents[2] / "docs" / "postgresql.md"


def test_the_page_runs_as_it_stands(postgres_url, project):
    run_page("postgresql.md", project, {"postgresql://localhost/app": postgres_url})


def test_the_rights_that_the_page_names_are_enough(postgres_server, new_app, project):
    owner, user = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    with postgres_server.database() as name, postgres_server.admin(name) as admin:

        def given(text):
            text = text.replace("nbtasks_owner", f"owner_{name}").replace("nbtasks_user", f"user_{name}")
            admin.execute(text.replace("'...'", "'secret'").replace("DATABASE app", f"DATABASE {name}"))

        try:
            given(owner)
            doctor = subprocess.run(
                [sys.executable, "-m", "nbtasks", "doctor", "-b", postgres_server.url(name, f"owner_{name}")],
                capture_output=True, text=True, check=False, timeout=100,
            )  # fmt: skip
            assert "secret" not in doctor.stdout + doctor.stderr
            assert "postgresql 15" in doctor.stdout
            assert "memory" not in doctor.stdout
            given(user)
            app = new_app(postgres_server.url(name, f"user_{name}"))
            app.start_workers(1)
            assert app.task(abs).map([-1, -2]).get(timeout=100) == [1, 2]
            app.close()
        finally:
            admin.execute(f"DROP OWNED BY user_{name}, owner_{name}; DROP ROLE user_{name}, owner_{name}")


def test_a_connection_file_and_an_invitation_bring_workers(postgres_url, project):
    with App(broker=postgres_url, namespace="files", key=KEY) as app:
        app.invite(file="nbtasks.json")
        worker = subprocess.Popen(
            [sys.executable, "-m", "nbtasks", "worker", "--connection-file", "nbtasks.json", "-c", "1"],
            cwd=project,
        )
        try:
            result = app.task(abs).delay(-4)
            assert result.get(timeout=100) == 4
        finally:
            worker.terminate()
            worker.wait(100)
    with App(connection_file="nbtasks.json") as other:
        assert other.AsyncResult(result.id).get(timeout=100) == 4
        assert "secret" not in repr(other)
