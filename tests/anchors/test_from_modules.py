import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnet
from snnet.anchors import Anchor, anchor_from_modules
from snnet.errors import AnchorError, CheckpointError
from snnet.space import InputSpec


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(x)).relu()


class Net(nn.Module):
    """Two stages; the second begins with a convolution of stride 2 that is no part of its container."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 3, padding=1)
        self.first = nn.ModuleList(Residual(width) for _ in range(depth))
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.second = nn.Sequential(*(Residual(2 * width) for _ in range(depth)))
        self.norm = nn.BatchNorm2d(2 * width)
        self.classifier = nn.Linear(2 * width, 5)
        self.unused = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).relu()
        for block in self.first:
            x = block(x)
        x = self.norm(self.second(self.down(x)))
        return self.classifier(x.mean((2, 3)))


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


PARTS: dict[str, Any] = {
    "stem": ["embed", torch.relu],
    "stages": ["first", [["down", "second.0"], "second.1"]],
    "head": ["norm", mean, "classifier"],
    "input": (3, 10, 14),
}


def view(model: Any = None, **changes: Any) -> Anchor:
    torch.manual_seed(0)
    return anchor_from_modules(model or Net(4, 2), **{**PARTS, **changes})


@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_the_models_forward(training: bool) -> None:
    anchor = view().train(training)
    reference = copy.deepcopy(anchor.model)
    images = torch.randn(4, 3, 10, 14)
    with torch.no_grad():
        features = anchor.stem(images)
        for index in range(anchor.depth):
            features = anchor.block(index, features)
            assert features.shape[1:] == anchor.feature(index).shape
        torch.testing.assert_close(anchor.head(features), reference(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(anchor.model.state_dict(), reference.state_dict())


def test_what_a_view_says_of_its_model() -> None:
    anchor = view(name="mine")
    assert anchor.depths == (2, 2) and anchor.num_classes == 5 and anchor.name == "mine"
    assert anchor.input == InputSpec((3, 10, 14), (0.0,) * 3, (1.0,) * 3)
    assert [str(anchor.feature(k)) for k in (-1, 3)] == [
        "10x14 positions of 4 channels (NCHW)",
        "5x7 positions of 8 channels (NCHW)",
    ]
    model = anchor.model
    down = {id(p) for module in (model.down, model.second[0]) for p in module.parameters()}
    assert {id(p) for p in anchor.block_parameters(2)} == down
    head = {id(p) for module in (model.norm, model.classifier) for p in module.parameters()}
    assert {id(p) for p in anchor.head_parameters()} == head


def test_a_view_changes_neither_mode_nor_statistics() -> None:
    model = Net(4, 2).train()
    model.norm.eval()
    before = copy.deepcopy(model.state_dict())
    view(model)
    assert model.training and not model.norm.training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_copies_run_their_own_weights() -> None:
    anchor = view().eval()
    twin = copy.deepcopy(anchor)
    images = torch.randn(1, 3, 10, 14)
    expected = anchor(images)
    nn.init.zeros_(anchor.model.first[0].conv.weight)
    torch.testing.assert_close(twin.head(twin.run(twin.stem(images), 0, 4)), expected)


def test_a_replaced_module_is_the_one_that_runs() -> None:
    anchor = view().eval()
    anchor.model.classifier = nn.Linear(8, 2)
    assert anchor.head(torch.randn(1, 8, 5, 7)).shape == (1, 2)


class Transformer(nn.Module):
    def __init__(self, layout: str = "tokens") -> None:
        super().__init__()
        self.layout = layout
        self.patches = nn.Conv2d(1, 6, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 2, 6))
        self.blocks = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6))
        self.classifier = nn.Linear(6, 3)

    def tokens(self, x: Tensor) -> Tensor:
        if self.layout == "NHWC":
            return x.permute(0, 2, 3, 1)
        return torch.cat([self.token.expand(len(x), -1, -1), x.flatten(2).mT], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.tokens(self.patches(x))).flatten(1, -2).mean(1))


def view_tokens(model: Transformer, input: tuple[int, int, int] = (1, 8, 6), **settings: object) -> Anchor:
    return anchor_from_modules(
        model,
        stem=["patches", model.tokens],
        stages=["blocks"],
        head=[lambda x: x.flatten(1, -2).mean(1), "classifier"],
        input=input,
        **settings,  # type: ignore[arg-type]
    )


def test_tokens_with_a_prefix_and_maps_with_channels_last() -> None:
    tokens = view_tokens(Transformer(), prefix_tokens=2, grid=(4, 3)).feature(0)
    assert (tokens.layout, tokens.shape, tokens.prefix_tokens) == ("tokens", (14, 6), 2)
    maps = view_tokens(Transformer("NHWC"), layout="NHWC").feature(0)
    assert (maps.layout, maps.grid, maps.channels) == ("NHWC", (4, 3), 6)


def test_maps_that_are_square_only_in_the_other_layout_are_refused() -> None:
    with pytest.raises(
        AnchorError, match=r"stem of Net has shape \(B, 4, 8, 8\), .* layout='NHWC'; give layout='NCHW'"
    ):
        view(input=(3, 8, 8), layout="NHWC")
    model = Transformer("NHWC")
    with pytest.raises(AnchorError, match=r"stem of Transformer has shape \(B, 4, 4, 6\), .*; give layout='NHWC'"):
        view_tokens(model, input=(1, 8, 8))


def test_tokens_that_make_no_grid_are_refused() -> None:
    with pytest.raises(AnchorError, match=r"output of the stem .* shape \(B, 14, 6\).*square grid.*give layout"):
        view_tokens(Transformer())


class Overwriting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(x).mean((2, 3)))


def test_blocks_do_not_overwrite_the_features_that_stitches_share() -> None:
    anchor = anchor_from_modules(
        Overwriting(), stem=[], stages=["blocks"], head=[mean, "classifier"], input=(3, 4, 4)
    ).eval()
    features = anchor.block(0, torch.randn(1, 3, 4, 4))
    before = features.clone()
    anchor.block(1, features)
    assert torch.equal(features, before) and features.min() < 0


class Random(Net):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + torch.rand(())


class Dense(Net):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, :, None, None]


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "a path that does not exist": (
        {"stages": ["frst"]},
        r"Net has no module 'frst', named in stages\[0\]\. Did you mean 'first'",
    ),
    "a path far from any": ({"stem": ["zzzzz"]}, r"no module 'zzzzz', named in stem\. There are: embed, first, down"),
    "stages in the wrong order": (
        {"stages": [[["down", "second.0"], "second.1"], "first"]},
        "block 0 of Net differs from its forward pass: it runs 'down' where the model runs 'first.0'",
    ),
    "blocks in the wrong order": (
        {"stages": [["first.1", "first.0"], [["down", "second.0"], "second.1"]]},
        r"block 0 of Net differs .* runs 'first\.1' where the model runs 'first\.0'",
    ),
    "a stem that lacks a function": (
        {"stem": ["embed"]},
        r"block 0 of Net differs .* there 'first\.0' receives .*What the model does between 'embed' and 'first\.0' is",
    ),
    "a stage that lacks its transition": (
        {"stages": ["first", "second"]},
        r"block 2 of Net differs .* there 'second\.0' receives \(B, 8, 5, 7\), but 'first\.1' gives \(B, 4, 10, 14\)",
    ),
    "a stage that lacks a block": (
        {"stages": [["first.0"], [["down", "second.0"], "second.1"]]},
        r"block 1 of Net differs .* there 'down' receives .* between 'first\.0' and 'down' is missing",
    ),
    "a function that fits nothing": (
        {"head": ["norm", lambda x: x.flatten(1), "classifier"]},
        r"the head of Net differs .* 'classifier' receives \(B, 8\), but the function '<lambda>' gives \(B, 280\)",
    ),
    "a function that fails": (
        {"head": ["norm", lambda x: x.view(7), "classifier"]},
        r"the head of Net cannot run the function '<lambda>' on features of shape \(B, 8, 5, 7\)",
    ),
    "a head that stops early": (
        {"head": ["norm", mean]},
        r"the head of Net differs .* have \(B, 8\) and the model gives \(B, 5\); add what is missing to the head",
    ),
    "a module that is never called": ({"head": ["norm", mean, "unused"]}, "Net never calls 'unused' of the head"),
    "an entry that is neither": ({"stem": [3]}, "3 in stem is neither the path of a module nor a function"),
    "a stage that is neither": ({"stages": [3]}, r"3 in stages\[0\] is neither the path of a Sequential or ModuleList"),
    "a stage that is one module": ({"stages": ["down"]}, r"'down' in stages\[0\] is a Conv2d, not a Sequential"),
    "a list that is a string": ({"stem": "embed"}, r"stem='embed' is not a list"),
    "a module list in the stem": ({"stem": ["first"]}, "'first' in stem is a ModuleList, which does not run"),
    "weights of another model": ({"stem": [nn.Conv2d(3, 4, 1)]}, "Conv2d in stem has weights but is no part"),
    "no stages": ({"stages": []}, "names no blocks"),
    "an empty stage": ({"stages": [[]]}, r"stages\[0\] has no blocks"),
    "an image size of two": ({"input": (3, 10)}, r"input=\(3, 10\) is neither an InputSpec nor"),
    "an image size of one": ({"input": 10}, r"input=10 is neither an InputSpec nor"),
    "an unknown layout": ({"layout": "nchw"}, "layout='nchw' is unknown; accepted: tokens, NHWC, NCHW"),
    "another count of classes": ({"num_classes": 4}, "Net gives 5 logits, and num_classes=4; leave num_classes out"),
    "a map for logits": ({"model": Dense(4, 2)}, r"Dense gives \(B, 5, 1, 1\), not logits \(B, num_classes\)"),
    "a name for the model": ({"model": "resnet18"}, "'resnet18' is not a torch.nn.Module"),
    "images that the model does not take": (
        {"input": (4, 10, 14)},
        r"Net cannot run on a sample of shape \(B, 4, 10, 14\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(AnchorError, match=message):
        view(**changes)


def test_a_random_model_is_refused() -> None:
    with pytest.raises(AnchorError, match="the head of Random differs from its forward pass"):
        view(Random(4, 2))


class Dropping(Net):
    """Drops out by a function, and normalizes a weight by what its last forward passes in training left."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, depth)
        nn.utils.parametrizations.spectral_norm(self.down)

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).relu()
        for block in self.first:
            x = block(x)
        x = self.norm(self.second(self.down(x)))
        return self.classifier(self.drop(x.mean((2, 3))))

    def drop(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


def test_what_a_model_does_only_in_training_is_proven_too() -> None:
    model = Dropping(4, 2).eval()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(AnchorError, match=r"the head of Dropping in training mode differs .* 'classifier' receives"):
        anchor_from_modules(model, **PARTS)
    anchor_from_modules(model, **{**PARTS, "head": ["norm", mean, model.drop, "classifier"]})
    assert not any(module.training for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


class Centered(Net):
    """Sets another tensor in the place of one buffer, and has one that nothing can be written to."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, depth)
        self.register_buffer("center", torch.zeros(2 * width))
        self.register_buffer("spread", torch.ones(1).expand(2 * width))

    def forward(self, images: Tensor) -> Tensor:
        x = self.embed(images).relu()
        for block in self.first:
            x = block(x)
        return self.classifier(self.centered(self.norm(self.second(self.down(x))).mean((2, 3))))

    def centered(self, x: Tensor) -> Tensor:
        if self.training:
            self.center = 0.9 * self.center + 0.1 * x.mean(0)
        return (x - self.center) * self.spread


def test_buffers_of_any_kind_are_as_before_the_proof() -> None:
    model = Centered(4, 2)
    center = model.center
    anchor_from_modules(model, **{**PARTS, "head": ["norm", mean, model.centered, "classifier"]})
    assert model.center is center and not center.any()


def test_modules_may_be_given_themselves() -> None:
    model = Net(4, 2)
    anchor = view(model, stem=[model.embed, nn.ReLU()], stages=[model.first, [["down", "second.0"], "second.1"]])
    assert anchor.segments.stem[0] == "embed"
    assert anchor.segments.stages[0] == (("first.0",), ("first.1",))


def test_two_views_are_stitched_initialized_and_saved(tmp_path: Path) -> None:
    net = snnet.stitch(view(name="small"), view(Net(6, 2), name="large")).eval()
    snnet.initialize(net, [torch.randn(8, 3, 10, 14)])
    assert len(snnet.profile(net)) == len(net.space) == 4
    net.save_pretrained(tmp_path / "net")
    again = snnet.load(tmp_path / "net", models=[view(name="small"), view(Net(6, 2), name="large")])
    images = torch.randn(2, 3, 10, 14)
    with torch.no_grad():
        for stitch in net.space:
            assert torch.equal(net(images, stitch), again(images, stitch))


def test_saving_says_which_anchors_no_name_rebuilds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net = snnet.stitch(view(name="small"), view(Net(6, 2), name="large"))
    net.save_pretrained(tmp_path / "net")
    (record,) = caplog.records
    assert record.levelname == "WARNING" and record.name.startswith("snnet")
    assert re.search(r"No name rebuilds 'small' and 'large': .* models=\[\.\.\.\]", record.getMessage())
    caplog.clear()
    snnet.stitch("vit_fm_tiny", "vit_fm_small").save_pretrained(tmp_path / "named")
    assert not caplog.records


def test_models_that_do_not_fit_a_saved_network_are_told_which_would(tmp_path: Path) -> None:
    def deep(width: int, name: str) -> Anchor:
        return view(Net(width, 3), name=name, stages=["first", [["down", "second.0"], "second.1", "second.2"]])

    snnet.stitch(view(name="small"), deep(6, "large")).save_pretrained(tmp_path)
    order = r"all of them in their order: small of depths \(2, 2\), large of depths \(3, 3\); given: "
    for models, found in [
        ([deep(6, "b"), view(name="a")], r"b of depths \(3, 3\), a of depths \(2, 2\)\."),
        ([view(name="a")], r"a of depths \(2, 2\)\."),
        ([], r"none\."),
        ([view(Net(6, 2), name="a"), deep(4, "b")], "a of depths .* b of depths"),
    ]:
        with pytest.raises(CheckpointError, match=order + found):
            snnet.load(tmp_path, models=models)
    with pytest.raises(CheckpointError, match="What has another shape"):
        snnet.load(tmp_path, models=[view(Net(6, 2), name="a"), deep(4, "b")])
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError) as caught:
        snnet.load(tmp_path, models=[view(), deep(6, "b")])
    assert "models=" not in str(caught.value)


def test_a_view_on_the_meta_device_is_checked_by_order_and_shape() -> None:
    with torch.device("meta"):
        model = Net(4, 2)
    assert view(model).feature(3).shape == (8, 5, 7)
    with pytest.raises(AnchorError, match="block 2 of Net differs"):
        view(model, stages=["first", "second"])


def test_a_head_that_writes_in_place_leaves_shared_features_alone() -> None:
    def build(width: int) -> Anchor:
        blocks = [nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.Tanh()) for _ in range(3)]
        tail = [nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]
        model = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.Sequential(*blocks), *tail)
        return anchor_from_modules(model, stem=["0"], stages=["1"], head=["2", "3", "4", "5"], input=(1, 8, 8))

    torch.manual_seed(0)
    net = snnet.stitch(build(4), build(6)).eval()
    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8) % 5
    table = snnet.evaluate(net, (images, labels))
    for row in table:
        expected = nn.functional.cross_entropy(net(images, row.route), labels).item()
        assert row.loss == pytest.approx(expected, abs=1e-6), row.stitch
