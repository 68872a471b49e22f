"""Whose word means what, who is right, and who is said to win."""

import pytest

from benchmarks.peers import (
    MAIN_FACE,
    OURS,
    PEERS,
    Answer,
    Figures,
    Footprint,
    Peer,
    PeerFailed,
    expression,
    footprint_verdict,
    judge,
    table,
    verdict,
)
from inference.reading import EXPRESSIONS

FER = Peer("fer", "fer", "python")


def figures(peer: str, median: float, accuracy: float | None = 0.5) -> Figures:
    return Figures(peer, "faces", "one core", 10, 0, 0, accuracy, accuracy, median, 2 * median, median)


@pytest.mark.parametrize(
    "words",
    [
        # fer and human; face-api.
        ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
        ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"),
    ],
)
def test_every_vocabulary_means_the_seven(words: tuple[str, ...]) -> None:
    assert tuple(expression(word) for word in words) == EXPRESSIONS


def test_no_face_is_no_expression() -> None:
    assert expression(None) is None


def test_an_unknown_word_is_refused_not_guessed() -> None:
    with pytest.raises(PeerFailed, match="contempt"):
        expression("contempt")


def test_no_face_and_failures_are_wrong_and_failures_take_no_time() -> None:
    answers = [Answer("happy", 10), Answer(None, 20), Answer("sad", 30), Answer(None, float("nan"), failed=True)]
    found = judge(FER, "faces", "one core", ["happy", "happy", "sad", "sad"], answers, cpu=5)
    assert (found.pictures, found.failed, found.no_face) == (3, 1, 1)
    assert found.accuracy == 0.5
    assert found.median == 20
    assert found.p95 == pytest.approx(29)


def test_balanced_accuracy_is_over_the_labels_of_the_set() -> None:
    answers = [Answer("happy", 1)] * 3 + [Answer("fear", 1)]
    found = judge(FER, "faces", "one core", ["happy", "happy", "happy", "neutral"], answers, cpu=1)
    assert found.accuracy == 0.75
    assert found.balanced == 0.5


def test_of_an_untrained_network_only_the_time_is_told() -> None:
    untrained = next(peer for peer in PEERS if not peer.answers)
    found = judge(untrained, "faces", "one core", ["happy"], [Answer("happy", 7)], cpu=1)
    assert (found.accuracy, found.balanced) == (None, None)
    line = table([figures(OURS.name, 7), found]).splitlines()[-1]
    assert line == f"| {untrained.name} | 1 | 0 | – | – | – | 7.0 | 7.0 | 1.0 | 1.00 |"


def test_the_table_holds_each_reader_beside_ours() -> None:
    header, _, ours, theirs = table([figures(OURS.name, 10), figures("fer", 45)]).splitlines()
    assert ours.endswith("| 10.0 | 20.0 | 10.0 | 1.00 |")
    assert theirs.endswith("| 45.0 | 90.0 | 45.0 | 4.50 |")
    assert header.count("|") == ours.count("|") == theirs.count("|")


def test_a_peer_that_wins_is_named_with_what_it_wins() -> None:
    main = figures(MAIN_FACE.name, 5)
    assert verdict([figures(OURS.name, 10), main, figures("fer", 45)])[0] == (
        "The fastest peer, fer, takes 4.50 times our median, and 9.00 times that of our main face."
    )
    assert verdict([figures(OURS.name, 10), main]) == []
    lines = verdict([figures(OURS.name, 10), figures("slow", 80), figures("fer", 45, accuracy=0.6)])
    assert lines == [
        "The fastest peer, fer, takes 4.50 times our median.",
        "fer beats us in: accuracy, balanced.",
    ]


def test_a_faster_peer_is_not_hidden() -> None:
    lines = verdict([figures(OURS.name, 10), figures("fer", 5, accuracy=0.1)])
    assert lines == ["The fastest peer, fer, takes 0.50 times our median.", "fer beats us in: median, p95, cpu."]


def test_it_is_said_when_nobody_wins() -> None:
    assert verdict([figures(OURS.name, 10), figures("fer", 45, accuracy=0.1)])[1:] == [
        "No peer beats us in anything of this table."
    ]


def test_starting_and_memory_are_judged_core_by_core() -> None:
    rows = [
        Footprint(OURS.name, "one core", 2, 400),
        Footprint("human", "one core", 1, 500),
        Footprint(OURS.name, "all cores", 2, 400),
        Footprint("human", "all cores", 3, 300),
    ]
    assert footprint_verdict(rows) == [
        "human beats us on one core in: start.",
        "human beats us on all cores in: memory.",
    ]
