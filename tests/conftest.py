"""What tests share: runtime folders of their own, real media, and who may be left out.

Models and the demo's media come from `make setup` and `make demo`; nothing here downloads.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# In the background of a shell it is ignored, and children inherit that; some tests interrupt their children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_runtime_folder():
    """Sockets of tests lie apart from those of the user's stores, under a short path."""
    folder = tempfile.mkdtemp(prefix="or-")
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = folder
    yield Path(folder)
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def film():
    """The demo's film: real clips, photographs and speech, 1 to 2 minutes."""
    from stream.capture.demo_film import assemble_film
    from stream.models import demo_media

    return assemble_film(demo_media())


def pytest_collection_modifyitems(items):
    """Browser tests need Debian's chromium; everything else runs everywhere."""
    if shutil.which("chromium"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))
