"""All of them: importing a module of faults registers what is in it."""

from tests.faultserver import _answers, _bodies, _endings, _framing, _items, _oddities
from tests.faultserver._registry import FAULTS, Fault

__all__ = ("FAULTS", "MODULES", "Fault")

MODULES = (_endings, _bodies, _items, _answers, _framing, _oddities)
