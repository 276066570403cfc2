from latent_loom.backend.service.jobs import Line, Ticket


def ticket(peer: bytes, id: int) -> Ticket:
    return Ticket(peer=peer, id=id, type="generate")


def run_order(line: Line) -> list[tuple[bytes, int]]:
    order = []
    while (taken := line.take()) is not None:
        order.append((taken.peer, taken.id))
        line.finished(taken)
    return order


def test_one_client_is_served_first_come_first_served():
    line = Line()
    for id in (1, 2, 3):
        line.put(ticket(b"a", id))
    assert run_order(line) == [(b"a", 1), (b"a", 2), (b"a", 3)]


def test_clients_take_turns_however_much_one_of_them_asks_for():
    line = Line()
    for id in (1, 2, 3):
        line.put(ticket(b"a", id))
    line.put(ticket(b"b", 1))
    assert run_order(line) == [(b"a", 1), (b"b", 1), (b"a", 2), (b"a", 3)]


def test_nothing_is_taken_while_something_runs():
    line = Line()
    line.put(ticket(b"a", 1))
    line.put(ticket(b"a", 2))
    first = line.take()
    assert line.take() is None
    line.finished(first)
    assert line.take().id == 2


def test_a_withdrawn_ticket_does_not_run_and_its_neighbours_do():
    line = Line()
    for id in (1, 2, 3):
        line.put(ticket(b"a", id))
    assert line.withdraw(b"a", 2)
    assert not line.withdraw(b"a", 2)
    assert run_order(line) == [(b"a", 1), (b"a", 3)]


def test_withdrawing_the_only_ticket_of_a_client_leaves_an_empty_line():
    line = Line()
    line.put(ticket(b"a", 1))
    assert line.withdraw(b"a", 1)
    assert len(line) == 0
    assert line.take() is None


def test_stop_reaches_the_running_ticket_alone():
    line = Line()
    line.put(ticket(b"a", 1))
    line.put(ticket(b"a", 2))
    running = line.take()
    assert not line.stop(b"a", 2)
    assert not line.stop(b"b", 1)
    assert not running.stop.is_set()
    assert line.stop(b"a", 1)
    assert running.stop.is_set()


def test_the_length_counts_what_waits_and_not_what_runs():
    line = Line()
    line.put(ticket(b"a", 1))
    line.put(ticket(b"b", 1))
    line.take()
    assert len(line) == 1
    assert [waiting.peer for waiting in line] == [b"b"]
