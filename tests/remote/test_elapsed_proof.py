"""What a machine's own clock proves about the time of a budget server."""

import random

import pytest

from astica_sync.remote.shared_budget.elapsed_proof import Anchor, ElapsedProof

EPOCH = 1_700_000_000.0


def known(*times: float, offset: float = EPOCH) -> ElapsedProof:
    """With an answer at each of these times."""
    proof = ElapsedProof(60.0, 2400.0)
    for time in times:
        assert not proof.learn("e", Anchor(time + offset, time - 0.01, time + 0.01))
    return proof


def test_nothing_is_proven_before_the_first_answer() -> None:
    assert ElapsedProof(60.0, 2400.0).proofs(1000.0) == ("", [])


def test_an_anchor_proves_what_has_passed_since_and_no_more() -> None:
    epoch, [one] = known(1000.0).proofs(1070.0)
    assert epoch == "e"
    assert one.age == pytest.approx(69.99)
    assert EPOCH + 1069.9 < one.at <= EPOCH + 1070


def test_the_youngest_that_is_old_enough_comes_first() -> None:
    proofs = known(1000.0, 1300.0, 1390.0).proofs(1400.0)[1]
    assert [round(one.age) for one in proofs] == [100, 400]
    assert proofs[0].at > proofs[1].at


def test_a_clock_that_is_set_forward_takes_the_anchors() -> None:
    proof = known(1000.0, 1100.0)
    assert not proof.learn("e", Anchor(EPOCH + 4700, 1105.0, 1105.1))
    assert [one.age for one in proof.proofs(1110.0)[1]] == [pytest.approx(4.9)]


def test_a_clock_that_goes_back_is_reported() -> None:
    proof = known(1000.0, 1100.0)
    assert proof.learn("e", Anchor(EPOCH + 1000, 1105.0, 1105.1))
    assert [one.age for one in proof.proofs(1110.0)[1]] == [pytest.approx(4.9)]


def test_a_slow_answer_is_no_set_clock() -> None:
    proof = known(1000.0, 1100.0)
    assert not proof.learn("e", Anchor(EPOCH + 1104.9, 1101.0, 1105.0))
    assert not proof.learn("e", Anchor(EPOCH + 1105.1, 1105.0, 1109.0))
    assert proof.proofs(1200.0)[1][-1].age == pytest.approx(199.99)


def test_another_epoch_takes_the_anchors() -> None:
    proof = known(1000.0)
    proof.learn("f", Anchor(EPOCH + 1100, 1100.0, 1100.0))
    epoch, proofs = proof.proofs(1100.0)
    assert (epoch, [one.age for one in proofs]) == ("f", [0.0])


@pytest.mark.parametrize("seed", range(20))
def test_no_more_is_proven_than_has_passed(seed: int) -> None:
    dice = random.Random(seed)
    proof, time = ElapsedProof(6.0, 240.0), 1000.0
    for _ in range(3000):
        time += dice.random() * dice.choice([0.01, 0.5, 5.0])
        there, back = dice.random() * 0.2, dice.random() * 0.2
        proof.learn("e", Anchor(EPOCH + time + there, time, time + there + back))
        time += there + back
        for one in proof.proofs(time)[1]:
            assert one.at <= EPOCH + time
            assert one.at >= EPOCH + time - 0.5 - 0.001 * one.age
    assert len(proof.proofs(time)[1]) <= 7
    assert len(proof._known.anchors) <= 500
