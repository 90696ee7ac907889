import numpy as np

from snnet.evaluation.features import route_features
from snnet.space import Stitch, StitchSpace


def test_neighbors_are_near_and_every_stitch_is_told_apart():
    space = StitchSpace.build([[12], [12], [12]])
    points = route_features(list(space), [12, 12, 12])
    stitched = points[3:]
    assert len(np.unique(stitched.round(9), axis=0)) == len(space) - 3
    ids = [str(stitch) for stitch in space]

    def apart(a, b):
        return np.linalg.norm(points[ids.index(a)] - points[ids.index(b)])

    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "0:0-11,1:11-12")
    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "0:0-6,1:5-12")
    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "1:0-5,2:5-12")


def test_what_never_varies_is_left_out():
    routes = [Stitch.parse(text) for text in ("0:0-4", "1:0-4", "0:0-1,1:1-4", "0:0-2,1:2-4")]
    assert route_features(routes, [4, 4]).shape == (4, 1)
    assert route_features(routes[:2], [4, 4]).shape == (2, 1)
