from concurrent.futures import ThreadPoolExecutor

import structlog

from streamer.flow.compute_thread import compute_in


async def test_what_computes_in_a_thread_logs_the_fields_of_its_task() -> None:
    def add(one: int, other: int) -> dict[str, object]:
        assert one + other == 3
        return structlog.contextvars.get_contextvars()

    with (
        ThreadPoolExecutor() as cpu,
        structlog.contextvars.bound_contextvars(partition="readings[3]"),
    ):
        assert await compute_in(cpu, add, 1, 2) == {"partition": "readings[3]"}
