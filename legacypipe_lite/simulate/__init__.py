"""Mock surveys with known truth, in the on-disk format of a real one."""

from .options import ARTEFACTS, SimulationOptions
from .survey import MockSurvey, simulate

__all__ = ["ARTEFACTS", "MockSurvey", "SimulationOptions", "simulate"]
