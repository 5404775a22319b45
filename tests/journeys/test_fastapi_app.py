"""A FastAPI app in the usual layout, with SQLAlchemy's models, served by uvicorn and by gunicorn."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbtasks.local.server import embedded
from tests.servers.server import free_port

from .webprojects import Site, running, write

PROJECT = {
    "api/config.py": """
        import os

        broker_url = os.environ["API_BROKER"]
        result_expires = 600
        imports = ["api.tasks"]
        namespace = "api"
    """,
    "api/worker.py": """
        from nbtasks import App

        app = App("api")
        app.config_from_object("api.config")
    """,
    "api/database.py": """
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, sessionmaker

        class Base(DeclarativeBase):
            pass

        engine = create_engine("sqlite:///api.db", connect_args={"timeout": 30})
        Session = sessionmaker(engine, expire_on_commit=False)
    """,
    "api/models.py": """
        from sqlalchemy import String
        from sqlalchemy.orm import Mapped, mapped_column
        from .database import Base

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
    """,
    "api/tasks.py": """
        from sqlalchemy import select
        from .database import Session
        from .models import User
        from .worker import app

        @app.task
        def create(name):
            with Session() as session:
                user = User(name=name)
                session.add(user)
                session.commit()
            return user

        @app.task
        def greet(user):
            assert type(user) is User
            with Session() as session:
                return f"hello {session.scalars(select(User.name).where(User.id == user.id)).one()}"
    """,
    "api/main.py": """
        from fastapi import FastAPI
        from .database import Base, engine
        from .models import User
        from .tasks import create, greet
        from .worker import app

        api = FastAPI()

        @api.get("/user/{name}")
        async def user(name: str):
            made = await create.delay(name)
            assert type(made) is User
            return {"id": greet.delay(made).id, "name": made.name}

        @api.get("/by_name/{name}")
        def by_name(name: str):
            return {"id": app.send_task("api.tasks.create", (name,)).id}

        @api.get("/result/{id}")
        def result(id: str):
            found = app.AsyncResult(id)
            value = found.result
            return {"state": found.state, "value": getattr(value, "name", value)}
    """,
    "make.py": """
        from api import models
        from api.database import Base, engine
        Base.metadata.create_all(engine)
    """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, run_folder):
    """A FastAPI project with a database, and a worker that serves it."""
    folder = tmp_path_factory.mktemp("fastapi")
    write(folder, PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lease = embedded.acquire()
        patch.setenv("API_BROKER", lease.url)
        subprocess.run([sys.executable, "make.py"], check=True, timeout=60)
        with running(folder, "-m", "nbtasks", "worker", "-A", "api.worker", "-c", "1"):
            yield folder
        lease.close()


GUNICORN = ("-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "api.main:api", "-b")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("-m", "uvicorn", "api.main:api", "--port"), id="uvicorn"),
        pytest.param(GUNICORN, id="gunicorn", marks=pytest.mark.long),
        pytest.param(
            ("-m", "gunicorn", "--preload", *GUNICORN[2:]), id="gunicorn preload", marks=pytest.mark.long
        ),
    ],
)
def test_an_app_in_the_usual_layout(project, eventually, command):
    port = free_port()
    place = f"127.0.0.1:{port}" if command[-1] == "-b" else str(port)
    with running(project, *command, place) as log:
        site = Site(port, eventually, log)
        for name in ("ann", "bob", "cy"):
            told = site.get(f"/user/{name}")
            assert told["name"] == name
            assert site.result(f"/result/{told['id']}") == f"hello {name}"
            assert site.result(f"/result/{site.get(f'/by_name/{name}')['id']}") == name
