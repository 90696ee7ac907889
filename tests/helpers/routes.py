"""Routes of spaces without networks."""

from snnet.space import Step, Stitch, StitchSpace


def steps_of(space: StitchSpace, stitch: Stitch) -> tuple[Step, ...]:
    """Steps as a network of plain anchors has them."""
    steps = [Step("stem", stitch.anchors[0], 0)]
    cuts = (None, *stitch.cuts)
    for cut, segment in zip(cuts, stitch.segments, strict=True):
        if cut is not None:
            steps.append(Step("stitch", cut.back, 0, space.layer_of(cut).name))
        steps += [Step("block", segment.anchor, k) for k in range(segment.start, segment.stop)]
    return (*steps, Step("head", stitch.anchors[-1], 0))


def routes_of(space: StitchSpace) -> dict[Stitch, tuple[Step, ...]]:
    return {stitch: steps_of(space, stitch) for stitch in space}
