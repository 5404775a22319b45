"""A front end that takes no updates from threads, as Colab: cards are brought up to date by who waits."""

import pytest

from .conftest import WIDGET

pytestmark = [pytest.mark.kernel, pytest.mark.long]


def test_who_waits_brings_the_card_up_to_date_on_the_main_thread(bare_kernel):
    kernel = bare_kernel
    kernel.run("import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')")
    kernel.run("%load_ext nbtasks\n%workers start 2")
    kernel.run(
        "import threading\npublish = get_ipython().display_pub.publish\nthreads = set()\n"
        "def noted(*args, **options):\n    threads.add(threading.current_thread().name)\n"
        "    publish(*args, **options)\nget_ipython().display_pub.publish = noted"
    )
    ran = kernel.run("%%task -o h for n in range(6)\n# colab\nimport time\ntime.sleep(0.4)\nn")
    assert WIDGET not in ran.data[0]
    kernel.run("h.get()")
    texts = [data["text/plain"] for _, data in kernel.updates]
    assert "SUCCESS colab (6/6 done" in texts[-1]
    assert len(set(texts)) > 2
    assert kernel.value("threads") == "{'MainThread'}"
    # The end of a later cell shows what has come meanwhile.
    kernel.run("%%task -o later\n# later\n1")
    kernel.run("later.until_ready(); None")
    assert "SUCCESS later" in kernel.texts()[-1]
