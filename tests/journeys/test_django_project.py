"""A Django project in its standard layout, with Celery's files for it, served by gunicorn."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nbtasks.local.server import embedded
from tests.servers.server import free_port

from .webprojects import Site, running, write

PROJECT = {
    "shop/celery.py": """
        import os
        from nbtasks import App

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        app = App("shop", namespace="shop")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.autodiscover_tasks()
    """,
    "shop/settings.py": """
        import os

        SECRET_KEY = "of a test"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "shop.urls"
        INSTALLED_APPS = ["django.contrib.contenttypes", "orders"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        USE_TZ = True
        CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ["SHOP_BROKER"]
        CELERY_RESULT_EXPIRES = 600
        CELERY_WORKER_CONCURRENCY = 1
    """,
    "shop/urls.py": """
        from django.urls import path
        from orders import views

        urlpatterns = [path("order/<int:price>", views.order), path("result/<str:id>", views.result)]
    """,
    "shop/wsgi.py": """
        import os
        from django.core.wsgi import get_wsgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        application = get_wsgi_application()
    """,
    "shop/__init__.py": """
        from .celery import app as celery_app

        __all__ = ("celery_app",)
    """,
    "orders/models.py": """
        from django.db import models

        class Order(models.Model):
            price = models.IntegerField()
            total = models.IntegerField(default=0)
    """,
    "orders/tasks.py": """
        from nbtasks import shared_task
        from .models import Order

        @shared_task
        def settle(id):
            order = Order.objects.get(pk=id)
            order.total = 2 * order.price
            order.save()
            return describe.delay(order).get()

        @shared_task
        def describe(order):
            assert type(order) is Order
            return f"{order.total} of {Order.objects.count() > 0}"
    """,
    "orders/views.py": """
        from django.http import JsonResponse
        from shop import celery_app
        from . import tasks
        from .models import Order

        def order(request, price):
            made = Order.objects.create(price=price)
            described = tasks.describe.delay(made)
            settled = tasks.settle.delay(made.pk)
            return JsonResponse({"described": described.id, "settled": settled.id, "name": settled.name})

        def result(request, id):
            found = celery_app.AsyncResult(id)
            return JsonResponse({"state": found.state, "value": str(found.result)})
    """,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory, run_folder):
    """A Django project with a database, and a worker that serves it."""
    folder = tmp_path_factory.mktemp("django")
    write(folder, PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lease = embedded.acquire()
        patch.setenv("SHOP_BROKER", lease.url)
        migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "-v", "0"]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": "."}
        subprocess.run(migrate, check=True, timeout=60, env=environment)
        with running(folder, "-m", "nbtasks", "worker", "-A", "shop", "-c", "2", "-l", "info"):
            yield folder
        lease.close()


@pytest.mark.parametrize(
    "preload",
    [pytest.param(False, id="each loads", marks=pytest.mark.long), pytest.param(True, id="preload")],
)
def test_a_project_under_gunicorn(shop, eventually, preload):
    port = free_port()
    command = (
        "-m",
        "gunicorn",
        *(["--preload"] if preload else []),
        "-w",
        "2",
        "-b",
        f"127.0.0.1:{port}",
        "shop.wsgi",
    )
    with running(shop, *command) as log:
        site = Site(port, eventually, log)
        for price in (1, 2, 3, 4):
            told = site.get(f"/order/{price}")
            assert told["name"] == "orders.tasks.settle"
            assert site.result(f"/result/{told['settled']}") == f"{2 * price} of True"
            assert site.result(f"/result/{told['described']}") == "0 of True"
