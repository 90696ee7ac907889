import json
import math

from snnet.serving import Outcome
from snnet.serving.history import History


def test_what_ended_lately_is_known_by_the_second() -> None:
    now = 100.0
    history = History(5, lambda: now)
    assert math.isnan(history.attainment()) and math.isnan(history.served_accuracy()) and history.last() == []
    history.hear(Outcome(1, "answered", 0, True, "a", 2, 80.0, 0.5, 0.25))
    history.hear(Outcome(2, "answered", 0, False, "a", 2, 80.0, 0.5, 0.25))
    now = 102.5
    history.hear(Outcome(3, "refused", 0))
    history.hear(Outcome(4, "answered", 0, True, "b", 1, 90.0))
    assert history.attainment() == 0.5 and history.served_accuracy() == 85.0
    assert history.attainment(1) == 0.5 and history.served_accuracy(1) == 90.0
    first, second = history.last()
    assert (first.at, first.counts, first.stitches) == (100, {"in_time": 1, "late": 1}, {"a": 1})
    assert (first.queue_seconds, first.compute_seconds, first.score) == (1.0, 0.5, 80.0)
    assert (second.at, second.counts) == (102, {"refused": 1, "in_time": 1})
    told = history.to_list()
    assert [one["age"] for one in told] == [2.5, 0.5] and json.loads(json.dumps(told)) == told
    assert told[0]["counts"] == {"in_time": 1, "late": 1} and told[0]["stitches"] == {"a": 1}
    history.hear(Outcome(6, "cancelled", 0))
    assert history.attainment() == 0.5, "who left counts neither way"
    now = 107.0
    assert [one.at for one in history.last()] == [102]
    for _ in range(20):
        now += 1
        history.hear(Outcome(5, "expired", 0))
    assert len(history.last()) <= 5 and history.attainment() == 0.0 and math.isnan(history.served_accuracy())
