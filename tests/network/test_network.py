import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snnet
from snnet.anchors import Anchor, AnchorSource, load_anchor
from snnet.errors import AnchorError, BudgetError, CheckpointError, SpaceError
from snnet.network import SNNet, load, stitch
from snnet.space import Cut, Step, Stitch, StitchSpace
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_net
from tests.helpers.routes import build_free_net

TINY = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 2}


def test_anchors_alone_equal_their_models(tiny_net: SNNet) -> None:
    images = torch.randn(3, 1, 28, 28)
    for number, anchor in enumerate(tiny_net.anchors):
        assert torch.equal(tiny_net(images, number), anchor.model(images))


def test_a_route_runs_its_segments_and_layer(tiny_net: SNNet) -> None:
    images = torch.randn(3, 1, 28, 28)
    small, large = tiny_net.anchor(0), tiny_net.anchor(1)
    by_hand = small.run(small.stem(images), 0, 2)
    by_hand = tiny_net.layer(Cut(0, 1, 1, 2))(by_hand)
    by_hand = large.head(large.run(by_hand, 2, 4))
    assert torch.equal(tiny_net(images, "0:0-2,1:2-4"), by_hand)


def test_routes_through_three_anchors_and_back_run() -> None:
    net = build_tiny_net(nearest=False, direction="both", kernel_size=2, stride=2)
    images = torch.randn(1, 1, 28, 28)
    shapes = {net(images, stitch).shape for stitch in net.space}
    assert shapes == {(1, 10)}
    assert {len(s.segments) for s in net.space} == {1, 2, 3}


def test_stitches_by_number_id_value_and_default(tiny_net: SNNet) -> None:
    images = torch.randn(2, 1, 28, 28)
    stitch = tiny_net.space[7]
    expected = tiny_net(images, stitch)
    assert torch.equal(tiny_net(images, 7), expected)
    assert torch.equal(tiny_net(images, str(stitch)), expected)
    assert torch.equal(tiny_net.at(7)(images), expected)
    tiny_net.active = str(stitch)
    assert tiny_net.active == stitch
    assert torch.equal(tiny_net(images), expected)
    with pytest.raises(SpaceError, match="No stitch '99'"):
        tiny_net(images, 99)


def test_two_threads_never_meet(tiny_net: SNNet) -> None:
    images = torch.randn(1, 1, 28, 28)
    with torch.no_grad():
        expected = {number: tiny_net(images, number) for number in (4, 17)}
    wrong: list[int] = []

    def call(number: int) -> None:
        with torch.inference_mode():
            for _ in range(1000):
                if not torch.equal(tiny_net(images, number), expected[number]):
                    wrong.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_steps_name_everything_a_route_runs(tiny_net: SNNet) -> None:
    steps = tiny_net.steps("0:0-2,1:2-4")
    assert [(s.kind, s.anchor, s.index) for s in steps] == [
        ("stem", 0, 0),
        ("block", 0, 0),
        ("block", 0, 1),
        ("stitch", 1, 0),
        ("block", 1, 2),
        ("block", 1, 3),
        ("head", 1, 0),
    ]
    assert steps[3] == Step("stitch", 1, layer=tiny_net.space.layer_of(Cut(0, 1, 1, 2)).name)


def test_parameters_of_a_stitch_are_those_with_gradients(tiny_net: SNNet) -> None:
    for number in (0, 5, 20):
        tiny_net.zero_grad()
        tiny_net(torch.randn(2, 1, 28, 28), number).sum().backward()
        moved = {id(p) for p in tiny_net.parameters() if p.grad is not None}
        assert {id(p) for p in tiny_net.parameters_of(number)} == moved


@pytest.mark.parametrize("anchors", [1, 2])
def test_any_routes_have_parameters_a_table_a_card_and_come_back_from_disk(anchors: int, tmp_path: Path) -> None:
    net, images = build_free_net(anchors), torch.randn(2, 1, 28, 28)
    for stitch_ in net.space:
        net.zero_grad()
        net(images, stitch_).sum().backward()
        moved = {id(p) for p in net.parameters() if p.grad is not None}
        assert {id(p) for p in net.parameters_of(stitch_)} == moved
        assert len(net.parameters_of(stitch_)) == len(moved)
    assert repr(net).startswith(f"SNNet: {net.space.counts}, ")
    snnet.profile(net)
    snnet.evaluate(net, (images, torch.tensor([1, 2])), progress=False)
    net.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.space == net.space and [row.values for row in again.table or ()] == [r.values for r in net.table or ()]
    for stitch_ in net.space:
        assert torch.equal(again(images, stitch_), net(images, stitch_))
    card = (tmp_path / "README.md").read_text()
    assert (
        f"{len(net.space)} routes over {len(net.space.layers)} stitching layers" in card and str(net.space[-1]) in card
    )
    assert net.select(macs=1e12) in net.space


def test_anchors_are_ordered_by_macs() -> None:
    sources = [AnchorSource.of("vit_tiny_patch16_224", embed_dim=w, num_heads=2, **TINY) for w in (48, 16, 32)]
    assert [a.model.embed_dim for a in stitch(*sources).anchors] == [16, 32, 48]
    assert len(stitch(*sources, kernel_size=1).space) == 3 + 2 * 2


def tiny(**changes: object) -> Anchor:
    return load_anchor(AnchorSource.of("vit_tiny_patch16_224", **{"embed_dim": 16, "num_heads": 2, **TINY, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 5}, "number of classes is 10 in one and 5 in the other"),
        ({"img_size": 56}, r"image size is \(1, 28, 28\) in one and \(1, 56, 56\) in the other; .*image_size=N"),
        ({"in_chans": 3}, r"image size is \(1, 28, 28\) in one and \(3, 28, 28\)"),
        ({"patch_size": 14}, r"cannot be joined at 0:0->1:0: grid is 2x2 in front and 4x4 behind"),
    ],
)
def test_anchors_that_cannot_be_joined_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(AnchorError, match=message):
        stitch(tiny(), tiny(**changes))


def test_anchors_of_other_image_sizes_are_told_the_one_that_works() -> None:
    names = ("vit_tiny_patch16_384", "vit_tiny_patch16_224@local.pth")
    with torch.device("meta"):
        with pytest.raises(
            AnchorError, match=r"\(3, 384, 384\) .*, or build all for one: image_size=224 \(--image-size 224\)"
        ):
            stitch(names[0], names[1].partition("@")[0])
        assert stitch(names[0], names[1].partition("@")[0], image_size=224).input.size == (3, 224, 224)


def test_anchors_of_other_numbers_of_stages_are_named_and_the_stages_of_one_size_join() -> None:
    names = ("resnet18", "vit_tiny_patch16_224")
    with torch.device("meta"):
        with pytest.raises(AnchorError, match=r"resnet18 .*number of stages is 1 in one and 4 in the other") as refused:
            stitch(*names)
        # The 14 x 14 map of a ResNet's third stage is as large as the grid of patches.
        assert "stages=[(0, 2)] (--stages 0:2)" in str(refused.value)
        net = stitch(*names, stages=[(0, 2)], direction="both")
    assert len(net.space) > 2 and {(y.front, y.stage) for y in net.space.layers} == {(1, 2)}


def test_a_classifier_of_a_built_model_is_not_replaced() -> None:
    with pytest.raises(AnchorError, match="is a built model of 10 classes, and num_classes=5"):
        stitch(tiny(), tiny().model, num_classes=5)


@pytest.mark.parametrize("anchor", [3, ["resnet18", "resnet50"]])
def test_what_is_no_anchor_is_refused(anchor: Any) -> None:
    with pytest.raises(AnchorError, match=r"is no anchor; accepted: a timm name, .* and not in a list"):
        stitch(anchor)


def test_classes_in_another_order_are_refused() -> None:
    one, other = tiny(), tiny()
    one.model.pretrained_cfg = {"label_names": ["cat", "dog", "owl"]}
    other.model.pretrained_cfg = {"label_names": ["cat", "owl", "dog"]}
    with pytest.raises(AnchorError, match="class 1 is 'dog' in one and 'owl' in the other"):
        stitch(one, other)


def test_each_anchor_sees_images_normalized_as_it_was_trained() -> None:
    torch.manual_seed(0)
    net = stitch("vit_tiny_patch16_224", "deit_tiny_patch16_224").eval()
    assert net.input.mean == (0.5, 0.5, 0.5)
    images = torch.rand(2, 3, 224, 224)
    deit = net.anchor(1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (deit.input.mean, deit.input.std))
    expected = deit.model((images - mean) / std)
    torch.testing.assert_close(net((images - 0.5) / 0.5, 1), expected, rtol=1e-4, atol=1e-5)
    assert not any("renormalize" in name for name in net.state_dict())


def test_an_anchor_in_two_networks_is_corrected_for_each() -> None:
    plain, deit = (load_anchor(name) for name in ("vit_tiny_patch16_224", "deit_tiny_patch16_224"))
    images = torch.rand(1, 3, 224, 224)
    alone = stitch(deit, load_anchor("deit_tiny_patch16_224")).eval()
    before = alone(images, 0)
    stitch(plain, deit)
    torch.testing.assert_close(alone(images, 0), before, rtol=0, atol=0)


def test_no_anchors_are_refused() -> None:
    with pytest.raises(AnchorError, match="given no anchors"):
        stitch()


def test_register_tokens_on_one_side_only() -> None:
    net = stitch(tiny(), tiny(reg_tokens=2)).eval()
    assert all(net(torch.randn(2, 1, 28, 28), stitch_).shape == (2, 10) for stitch_ in net.space)
    assert net.layer(net.space[-1].cuts[0]).target.prefix_tokens == 3


def test_grids_are_resampled_on_request_and_so_after_loading(tmp_path: Path) -> None:
    net = stitch(tiny(), tiny(patch_size=14), resample=True).eval()
    images = torch.randn(2, 1, 28, 28)
    net.save_pretrained(tmp_path)
    again = load(tmp_path)
    torch.testing.assert_close(again(images, len(net.space) - 1), net(images, len(net.space) - 1))


def test_a_network_may_leave_out_the_final_norm_of_stitched_routes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    anchors = [tiny(), tiny()]
    net = SNNet(anchors, StitchSpace.build([a.depths for a in anchors]), norm_on_stitched=False).eval()
    images = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(net(images, 1), anchors[1].model(images))
    last = net.space[-1]
    features = images
    for step in net.steps(last)[:-1]:
        features = net.run_step(step, features)
    torch.testing.assert_close(net(images, last), anchors[1].model.head(features[:, 0]))
    assert anchors[1].model.norm.weight not in set(net.parameters_of(last))
    net.save_pretrained(tmp_path)
    torch.testing.assert_close(load(tmp_path)(images, last.id), net(images, last))


def test_a_classifier_is_needed() -> None:
    with pytest.raises(AnchorError, match=r"has no classifier; .*num_classes=N \(--num-classes N\)"):
        stitch(tiny(num_classes=0), tiny(num_classes=0))


def test_one_anchor_or_a_foreign_space_is_refused(tiny_anchors: list[Anchor]) -> None:
    with pytest.raises(SpaceError, match="at least two anchors"):
        stitch(tiny())
    with pytest.raises(AnchorError, match="build the space from the anchors"):
        SNNet(tiny_anchors, StitchSpace.build([[3], [3], [3]]))


def test_selection_needs_a_table(tiny_net: SNNet) -> None:
    with pytest.raises(BudgetError, match="has no table to choose from"):
        tiny_net.select(macs=1e6)
    rows = [StitchRow(n, str(s), {"macs": n, "top1": float(n % 20)}) for n, s in enumerate(tiny_net.space)]
    tiny_net.table = StitchTable(rows)
    assert tiny_net.select(macs=15) == tiny_net.space[15]


def test_the_six_names_are_at_the_top() -> None:
    for name in ("stitch", "SNNet", "StitchSpace", "profile", "select", "load"):
        assert callable(getattr(snnet, name))
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = snnet.nothing


def test_numbers_of_any_kind_and_mistyped_directories(tiny_net: SNNet, tmp_path: Path) -> None:
    assert tiny_net.space.find(np.int64(5)) == tiny_net.space.find("5") == tiny_net.space[5]
    assert np.int64(5) in tiny_net.space
    assert str(tiny_net.space[5]) in tiny_net.space
    assert "99" not in tiny_net.space
    with pytest.raises(CheckpointError, match="There is no network at"):
        load(str(tmp_path / "typo"))
    with pytest.raises(SpaceError, match="has no stitches"):
        SNNet(list(tiny_net.anchors), tiny_net.space.where(lambda _: False))


def test_another_space_keeps_the_layers_that_both_have(tiny_net: SNNet) -> None:
    depths, images = tiny_net.space.depths, torch.randn(2, 1, 28, 28)
    first = StitchSpace.through(depths, map(Stitch, ["2:0-2,2:3-4", "2:0-2,1:3-4,2:3-4"]))
    assert tiny_net.set_space(first) is tiny_net and tiny_net.space is first and tiny_net.table is None
    kept, before = tiny_net.layer_named("at_2_0_2_2_3"), tiny_net(images, "2:0-2,2:3-4")
    assert set(tiny_net.layers) == {layer.name for layer in first.layers}
    tiny_net.set_space(StitchSpace.through(depths, map(Stitch, ["0:0-1,2:1-4", "2:0-2,2:3-4"])))
    assert tiny_net.layer_named("at_2_0_2_2_3") is kept and torch.equal(tiny_net(images, 4), before)
    with pytest.raises(SpaceError, match="No stitch"):
        tiny_net(images, "2:0-2,1:3-4,2:3-4")
    with pytest.raises(AnchorError, match="space is for depths"):
        tiny_net.set_space(StitchSpace.through([[4]]))


def test_one_model_is_a_family_where_its_skips_are_searched() -> None:
    net = stitch("vit_fm_tiny", space="search")
    assert [stitch_.id for stitch_ in net.space] == ["0:0-12"] and not len(net.layers)
    with pytest.raises(SpaceError, match="has no windows; leave kernel_size or space='search' out"):
        stitch("vit_fm_tiny", kernel_size=3, space="search")
    with pytest.raises(SpaceError, match="search among the skips of one"):
        stitch("vit_fm_tiny")
