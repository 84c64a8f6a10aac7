"""The amount of decoded data that is worth keeping for a plan."""

from collections import Counter

from vlmsel.execution.plan.work_plan import Plan

# Bound of a node's cache of decoded images; never more than half of what its disk has free.
CACHE_BYTES = 4 * 2**30


def cache_bytes_for(plan: Plan) -> int:
    """0 where no two models of the plan prepare images alike: there is nobody to share with."""
    alike = Counter(work.identity.preprocessing for work in plan.work)
    return CACHE_BYTES if any(count > 1 for count in alike.values()) else 0
