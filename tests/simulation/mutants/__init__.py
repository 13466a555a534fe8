"""Seeded bugs: each a small change to the code under test that some walk must notice.

The bugs are grouped by the part that they are in; ``seams`` says how one is put in place, ``hunt`` finds out which are
caught.
"""

from tests.simulation.mutants.all import MUTANTS
from tests.simulation.mutants.hunt import first_catch, hunt
from tests.simulation.mutants.seams import Mutant, planted

__all__ = ["MUTANTS", "Mutant", "first_catch", "hunt", "planted"]
