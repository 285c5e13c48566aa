"""The circuit breaker: when an upstream is asked last, and when it is tried again."""

from core.breaker import FAILURES_TO_OPEN, OPEN_S, Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(failures: int = FAILURES_TO_OPEN) -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(failures):
        breaker.failed("east")
    return breaker, clock


def order(breaker: Breaker) -> list[str]:
    return breaker.order(("east", "west"), str)


def test_a_few_failures_change_nothing() -> None:
    assert order(broken(FAILURES_TO_OPEN - 1)[0]) == ["east", "west"]


def test_failures_in_a_row_put_an_upstream_last() -> None:
    assert order(broken()[0]) == ["west", "east"]


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker, _ = broken(FAILURES_TO_OPEN - 1)
    breaker.succeeded("east")
    breaker.failed("east")
    assert order(breaker) == ["east", "west"]


def test_after_a_while_it_is_tried_again_and_one_failure_opens_it_at_once() -> None:
    breaker, clock = broken()
    clock.now += OPEN_S
    assert order(breaker) == ["east", "west"]
    breaker.failed("east")
    assert order(breaker) == ["west", "east"]


def test_a_success_closes_it() -> None:
    breaker, clock = broken()
    clock.now += OPEN_S
    breaker.succeeded("east")
    breaker.failed("east")
    assert order(breaker) == ["east", "west"]


def test_the_order_of_open_upstreams_stays_the_routes_own() -> None:
    breaker, _ = broken()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed("west")
    assert order(breaker) == ["east", "west"]
