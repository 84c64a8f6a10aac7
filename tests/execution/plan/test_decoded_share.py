from dataclasses import replace

from tests.execution.builders import JOB, identity, work
from vlmsel.execution.plan.decoded_share import CACHE_BYTES, cache_bytes_for
from vlmsel.execution.plan.work_plan import Plan


def plan(*preprocessings: str) -> Plan:
    works = tuple(
        replace(work(str(i), 1), identity=identity(str(i), p)) for i, p in enumerate(preprocessings)
    )
    return Plan(JOB, works, (), frozenset())


def test_images_are_kept_where_two_models_prepare_them_alike() -> None:
    assert cache_bytes_for(plan("p", "q", "p")) == CACHE_BYTES


def test_nothing_is_kept_where_nobody_shares() -> None:
    assert cache_bytes_for(plan("p", "q")) == 0
