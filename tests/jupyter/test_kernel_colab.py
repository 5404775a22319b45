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
    assert "colab: done, 6 calls, " in texts[-1]
    assert len(set(texts)) > 2
    assert kernel.value("threads") == "{'MainThread'}"
    # The end of a later cell shows what has come meanwhile.
    kernel.run("%%task -o later\n# later\n1")
    kernel.run("later.until_ready(); None")
    assert "later: done, " in kernel.texts()[-1]
    # What a thread would have to renew is no widget here.
    assert all(WIDGET not in kernel.run(line).data[0] for line in ("%tasks", "%workers"))
    kernel.run("%%task -o slow\n# slow\nimport time; time.sleep(60)", cell="here")
    kernel.restart()
    kernel.run("import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')")
    kernel.run("%load_ext nbtasks")
    ran = kernel.run("back = %tasks attach")
    assert WIDGET not in ran.data[0]
    assert ran.stdout == (
        "Brought back: 'slow'. `back = %tasks attach` has the handles; `%tasks attach ID` shows the card of one.\n"
    )
    kernel.run("%tasks cancel all")
