"""How right a catalogue is, and what a run did: scores against truth, plots and reports."""

from .scenes import MatchSettings, Scene, make_scene, read_scene, stack
from .scores import evaluate

__all__ = ["MatchSettings", "Scene", "evaluate", "make_scene", "read_scene", "stack"]
