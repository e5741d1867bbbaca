import pytest

from typestream._demo.ngram import NGram, load
from typestream._demo.server import DemoServer


@pytest.fixture(scope="session")
def model() -> NGram:
    return load()


@pytest.fixture
def server(model):
    """The demo's server as fast as it can; its own faults fail the test."""
    with DemoServer(model, interval=0) as server:
        yield server
    assert server.faults == []
