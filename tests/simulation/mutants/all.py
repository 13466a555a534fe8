"""All seeded bugs."""

from tests.simulation.mutants.apply import APPLY_MUTANTS
from tests.simulation.mutants.local import LOCAL_MUTANTS
from tests.simulation.mutants.owners import OWNER_MUTANTS
from tests.simulation.mutants.plan import PLAN_MUTANTS
from tests.simulation.mutants.recipes import RECIPE_MUTANTS
from tests.simulation.mutants.remote import REMOTE_MUTANTS
from tests.simulation.mutants.removals import REMOVAL_MUTANTS
from tests.simulation.mutants.training import TRAINING_MUTANTS
from tests.simulation.mutants.watch import WATCH_MUTANTS

MUTANTS = (
    *REMOTE_MUTANTS,
    *LOCAL_MUTANTS,
    *PLAN_MUTANTS,
    *REMOVAL_MUTANTS,
    *RECIPE_MUTANTS,
    *OWNER_MUTANTS,
    *TRAINING_MUTANTS,
    *APPLY_MUTANTS,
    *WATCH_MUTANTS,
)
