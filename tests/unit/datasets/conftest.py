"""Helpers beside this file are importable whatever the import mode; a small DESED, and a place for its sets."""

import logging
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def root(tmp_path):
    from desed_layouts import desed_2019

    return desed_2019(tmp_path / "desed")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.INFO, logger="sedkit")
    return caplog


@pytest.fixture
def server():
    from download_server import Server

    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
