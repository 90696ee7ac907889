import numpy as np
import pytest

from snnet.data.composing import MOST, SIZES, Garments, Scene, compose, depth_of, filled


def bars(count: int = 6) -> Garments:
    """White rectangles of 20x10 with a hole, in the middle of pictures of 28x28; each is a class of its own."""
    pixels = np.zeros((count, 28, 28), np.uint8)
    pixels[:, 4:24, 9:19] = 200
    pixels[:, 10:14, 12:16] = 0
    return Garments(pixels, np.arange(count))


def scenes(count: int = 40, size: tuple[int, int] = (48, 64)) -> list[Scene]:
    return [compose(bars(), size, np.random.default_rng(seed)) for seed in range(count)]


def flood(shape: np.ndarray) -> np.ndarray:
    """The same as `filled`, position by position."""
    height, width = shape.shape
    edge = [(y, x) for y in range(height) for x in range(width) if y in (0, height - 1) or x in (0, width - 1)]
    pending, outside = [place for place in edge if not shape[place]], set()
    while pending:
        y, x = pending.pop()
        if 0 <= y < height and 0 <= x < width and not shape[y, x] and (y, x) not in outside:
            outside.add((y, x))
            pending += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return np.array([[(y, x) not in outside for x in range(width)] for y in range(height)])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6])
def test_holes_are_closed_as_a_flood_from_the_border_leaves_them(share: float) -> None:
    shapes = np.random.default_rng(0).random((20, 12, 17)) < share
    closed = filled(shapes)
    assert np.array_equal(closed, np.stack([flood(shape) for shape in shapes]))
    assert (closed & ~shapes).any()


def test_a_silhouette_has_no_hole_and_is_cut_out_at_its_box() -> None:
    pixels, silhouette = bars().cut_out(2)
    assert pixels.shape == silhouette.shape == (20, 10)
    assert (silhouette == 255).all()
    assert set(np.unique(pixels)) == {0, 200}


def test_scenes_have_two_to_five_garments_of_all_sizes_the_nearest_in_front() -> None:
    found = scenes(200)
    counts = [int((scene.depths > 0).sum()) for scene in found]
    assert set(counts) == {2, 3, 4, 5}
    sizes = np.concatenate([1 / scene.depths[scene.depths > 0] for scene in found])
    assert SIZES[0] <= sizes.min() < 0.65 and 1.35 < sizes.max() <= SIZES[1] + 1e-6
    for scene, count in zip(found, counts, strict=True):
        assert len(scene.labels) == len(scene.depths) == MOST + 1
        assert scene.labels[0] == scene.depths[0] == 0
        assert (np.diff(scene.depths[1 : count + 1]) < 0).all()
        assert (scene.labels[1 : count + 1] > 0).all() and not scene.labels[count + 1 :].any()
        # The nearest covers and is not covered: unless it reaches over the border it is a whole rectangle.
        assert scene.numbers.max() == count


def test_a_garment_is_as_large_as_its_distance_says() -> None:
    for scene in scenes():
        nearest = int(scene.numbers.max())
        seen = scene.numbers == nearest
        rows, columns = seen.any(1), seen.any(0)
        if not (rows[0] or rows[-1] or columns[0] or columns[-1]):
            assert rows.sum() == round(24 / float(scene.depths[nearest]))
            assert seen.sum() == rows.sum() * columns.sum()


def test_masks_and_depth_tell_of_the_same_positions() -> None:
    for scene in scenes():
        assert scene.pixels.shape == scene.mask.shape == scene.depth.shape == (48, 64)
        assert np.array_equal(scene.mask > 0, scene.numbers > 0)
        for number in np.unique(scene.numbers)[1:]:
            here = scene.numbers == number
            assert (scene.mask[here] == scene.labels[number]).all()
            assert (scene.depth[here] == scene.depths[number]).all()
        ground = scene.numbers == 0
        expected = np.broadcast_to(3 - np.arange(48)[:, None] / 47, (48, 64))
        np.testing.assert_allclose(scene.depth[ground], expected[ground], rtol=1e-6)
        assert scene.depth[ground].min() > scene.depths.max()


def test_garments_stand_out_where_the_mask_says() -> None:
    black = Garments(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64))
    black.pixels[:, 4:24, 9:19] = 17
    inside, outside = [], []
    for seed in range(30):
        scene = compose(black, (56, 56), np.random.default_rng(seed))
        inside.append(scene.pixels[scene.numbers > 0].mean())
        outside.append(scene.pixels[scene.numbers == 0].mean())
    assert max(inside) < 80 < np.mean(outside)
    assert np.std(outside) > 20


def test_instances_have_the_boxes_of_what_is_seen() -> None:
    for scene in scenes():
        found = scene.instances
        assert found.masks.sum() == (scene.numbers > 0).sum()
        assert (found.masks.sum(0) <= 1).all()
        for (left, top, width, height), label, mask in zip(found.boxes, found.labels, found.masks, strict=True):
            places = np.argwhere(mask)
            assert (left, top) == (places[:, 1].min(), places[:, 0].min())
            assert (left + width - 1, top + height - 1) == (places[:, 1].max(), places[:, 0].max())
            assert (scene.mask[mask] == label).all()


def test_depth_of_many_scenes_is_that_of_each() -> None:
    found = scenes(5)
    together = depth_of(np.stack([scene.numbers for scene in found]), np.stack([scene.depths for scene in found]))
    assert together.dtype == np.float32
    assert np.array_equal(together, np.stack([scene.depth for scene in found]))


@pytest.mark.parametrize("size", [(28, 28), (32, 96), (9, 7), (224, 160)])
def test_scenes_are_of_any_size(size: tuple[int, int]) -> None:
    scene = scenes(1, size)[0]
    assert scene.pixels.shape == scene.numbers.shape == size
    assert scene.pixels.std() > 5
