"""A server that breaks in every way we have seen: `with FaultServer() as server: server.base_url("rst-mid")`."""

from tests.faultserver._faults import FAULTS, Fault
from tests.faultserver._http import Body, Request, dechunk
from tests.faultserver._script import APIS, FULL, PARTIAL
from tests.faultserver._server import FaultServer

__all__ = ("APIS", "FAULTS", "FULL", "PARTIAL", "Body", "Fault", "FaultServer", "Request", "dechunk")
