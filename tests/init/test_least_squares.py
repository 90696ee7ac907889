import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from snnet.errors import AnchorError, DataError, SNNetError, SpaceError
from snnet.init import InitReport, collect_equations, initialize
from snnet.init.plan import Node, Product, plan_sums
from snnet.layers import fit_positions
from snnet.network import SNNet
from snnet.space import Stitch, StitchSpace
from tests.conftest import build_tiny_anchor, build_tiny_net
from tests.init.reference import lstsq_map, relative_residual, stacked

SPACES = [{}, {"kernel_size": 3, "stride": 2}, {"direction": "both"}, {"nearest": False}, {"stride": 2}]


def sample(count: int) -> Tensor:
    return torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def maps(net: SNNet) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.layers.state_dict().items()}


def assert_optimal(net: SNNet, images: Tensor, report: InitReport, *, within: float = 1e-6) -> None:
    """Every layer is as good as lstsq on the stacked rows, and the report says so."""
    for layer, fit in zip(net.space.layers, report.layers, strict=True):
        a, b = stacked(net, layer, images)
        best = relative_residual(a, b, *lstsq_map(a, b))
        transform = net.layer(layer.cuts[0]).transform
        stored = relative_residual(a, b, transform.weight.T, transform.bias)
        assert stored == pytest.approx(best, abs=within)
        assert fit.relative_residual == pytest.approx(stored, abs=within)
        assert (fit.name, fit.tokens) == (layer.name, len(a))


@pytest.mark.parametrize("options", SPACES, ids=str)
def test_every_layer_equals_lstsq_on_its_stacked_rows(options: dict[str, object]) -> None:
    net = build_tiny_net(**options)
    report = initialize(net, sample(40))
    assert_optimal(net, sample(40), report)
    assert [fit.rank for fit in report.layers] == [
        net.anchor(layer.front).feature(0).channels for layer in net.space.layers
    ]


def test_unequal_depths() -> None:
    anchors = [build_tiny_anchor(16, depth=2), build_tiny_anchor(32, depth=5)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    assert_optimal(net, sample(30), initialize(net, sample(30)))


def test_outlier_channels_with_a_large_mean(tiny_net: SNNet) -> None:
    with torch.no_grad():
        for anchor in tiny_net.anchors:
            anchor.model.pos_embed[..., 3] += 3000
            anchor.model.pos_embed[..., 5] *= 1e-3
            anchor.model.blocks[1].mlp.fc2.weight[7] *= 500
    assert_optimal(tiny_net, sample(40), initialize(tiny_net, sample(40)))


def test_fewer_tokens_than_channels_gives_the_least_norm() -> None:
    net = build_tiny_net(kernel_size=1)
    images = sample(1)
    report = initialize(net, images)
    for layer, fit in zip(net.space.layers, report.layers, strict=True):
        a, b = stacked(net, layer, images)
        transform = net.layer(layer.cuts[0]).transform
        weight, bias = lstsq_map(a, b)
        assert fit.rank == min(len(a) - 1, a.shape[1])
        torch.testing.assert_close(transform.weight.T.double(), weight, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(transform.bias.double(), bias, rtol=1e-4, atol=1e-5)
        if fit.rank == len(a) - 1:
            assert fit.relative_residual < 1e-6


def test_dead_and_doubled_channels(tiny_net: SNNet) -> None:
    def spoil(module: nn.Module, args: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[..., 2], output[..., 4] = 0.3, output[..., 6]
        return output

    hooks = [block.register_forward_hook(spoil) for block in tiny_net.anchor(0).model.blocks]
    report = initialize(tiny_net, sample(40))
    assert_optimal(tiny_net, sample(40), report)
    for hook in hooks:
        hook.remove()
    for layer, fit in zip(tiny_net.space.layers, report.layers, strict=True):
        weight = tiny_net.layer(layer.cuts[0]).transform.weight
        assert torch.isfinite(weight).all()
        if layer.front == 0:
            assert fit.rank == 14
            assert not weight[:, 2].any(), "a channel that never varies gets weight zero"
            torch.testing.assert_close(weight[:, 4], weight[:, 6])


def test_loader_tensor_and_batch_sizes_agree(tiny_net: SNNet) -> None:
    images, found = sample(21), []
    loader = DataLoader(TensorDataset(images, torch.zeros(21)), batch_size=5)
    sources = [
        (images, 16),
        (images, 1),
        (images, 64),
        (loader, 16),
        (loader, 2),
        (iter([images[:20], images[20:]]), 8),
    ]
    for source, batch_size in sources:
        assert initialize(tiny_net, source, batch_size=batch_size).images == 21
        found.append(maps(tiny_net))
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


def test_max_images_counts_the_first_ones(tiny_net: SNNet) -> None:
    initialize(tiny_net, sample(9)[:7])
    expected = maps(tiny_net)
    report = initialize(tiny_net, list(sample(9).split(4)), max_images=7)
    assert report.images == 7
    for name, value in maps(tiny_net).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


def test_ridge_equals_lstsq_with_rows_added(tiny_net: SNNet) -> None:
    report = initialize(tiny_net, sample(20), ridge=0.1)
    layer = tiny_net.space.layers[0]
    a, b = stacked(tiny_net, layer, sample(20))
    centered = a - a.mean(dim=0)
    penalty = (0.1 * centered.square().sum(dim=0).mean()).sqrt() * torch.eye(a.shape[1]).double()
    rows = torch.cat([centered, penalty]), torch.cat([b - b.mean(dim=0), torch.zeros(a.shape[1], b.shape[1])])
    weight = torch.linalg.lstsq(*rows).solution
    transform = tiny_net.layer(layer.cuts[0]).transform
    torch.testing.assert_close(transform.weight.T.double(), weight, rtol=1e-4, atol=1e-6)
    assert report.layers[0].relative_residual > relative_residual(a, b, *lstsq_map(a, b))


def test_nothing_but_the_stitching_layers_changes(tiny_net: SNNet) -> None:
    tiny_net.anchor(0).model.patch_embed.norm = nn.BatchNorm1d(16)
    tiny_net.train()
    tiny_net.anchor(1).eval()
    anchors = {name: value.clone() for name, value in tiny_net.anchors.state_dict().items()}
    modes = {name: module.training for name, module in tiny_net.named_modules()}
    before, state = maps(tiny_net), torch.get_rng_state()
    initialize(tiny_net, sample(6))
    assert {name: module.training for name, module in tiny_net.named_modules()} == modes
    for name, value in tiny_net.anchors.state_dict().items():
        assert torch.equal(value, anchors[name]), name
    assert all(not torch.equal(value, before[name]) for name, value in maps(tiny_net).items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in tiny_net.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_training_can_follow(tiny_net: SNNet) -> None:
    initialize(tiny_net, sample(4))
    tiny_net(sample(2), len(tiny_net.space) - 1).sum().backward()


def test_kaiming_is_measured_like_least_squares(tiny_net: SNNet) -> None:
    report = initialize(tiny_net, sample(20), method="kaiming")
    for layer, fit in zip(tiny_net.space.layers, report.layers, strict=True):
        a, b = stacked(tiny_net, layer, sample(20))
        transform = tiny_net.layer(layer.cuts[0]).transform
        expected = relative_residual(a, b, transform.weight.T, transform.bias)
        assert fit.relative_residual == pytest.approx(expected, abs=1e-6)
        assert not transform.bias.any()
        assert float(transform.weight.std()) == pytest.approx(transform.in_features**-0.5, rel=0.15)
    best = initialize(tiny_net, sample(20))
    assert all(a.relative_residual < b.relative_residual for a, b in zip(best.layers, report.layers, strict=True))


def test_kaiming_needs_no_images(tiny_net: SNNet) -> None:
    before = maps(tiny_net)
    report = initialize(tiny_net, None, method="kaiming")
    assert all(math.isnan(fit.relative_residual) and fit.tokens == 0 for fit in report.layers)
    assert report.to_dict()["layers"][0]["relative_residual"] is None
    assert any(not torch.equal(value, before[name]) for name, value in maps(tiny_net).items())


def test_report_and_progress(tiny_net: SNNet) -> None:
    calls: list[tuple[int, int, str]] = []
    report = initialize(tiny_net, sample(20), progress=lambda *call: calls.append(call))
    layers = len(tiny_net.space.layers)
    assert calls[:2] == [(10, 20, "calibration images"), (20, 20, "calibration images")]
    assert calls[2:] == [(n + 1, layers, "stitching layers solved") for n in range(layers)]
    assert report.method == "least-squares"
    assert report.seconds > 0
    assert report.to_dict()["layers"][0]["name"] == report.layers[0].name


def test_equations_measure_any_map(tiny_net: SNNet) -> None:
    equations = collect_equations(tiny_net, sample(20))
    layer = tiny_net.space.layers[1]
    a, b = stacked(tiny_net, layer, sample(20))
    weight, bias = torch.randn(a.shape[1], b.shape[1]), torch.randn(b.shape[1])
    found = equations[layer.name].relative_residual(weight, bias)
    assert found == pytest.approx(relative_residual(a, b, weight, bias), rel=1e-7)


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (None, {}, DataError, "needs calibration images"),
        (torch.zeros(0, 1, 28, 28), {}, DataError, "no calibration images: the loader or tensor is empty"),
        ([], {}, DataError, "no calibration images"),
        (torch.zeros(2, 3, 28, 28), {}, DataError, r"shape \(2, 3, 28, 28\); expected float images \(N, 1, 28, 28\)"),
        (torch.zeros(1, 28, 28), {}, DataError, r"shape \(1, 28, 28\); expected"),
        (torch.zeros(2, 1, 28, 28).byte(), {}, DataError, "are torch.uint8; expected float images"),
        (torch.full((2, 1, 28, 28), math.nan), {}, DataError, "holds NaN or infinity"),
        (["cat.jpg"], {}, DataError, "are a str; expected float images"),
        (
            sample(2),
            {"method": "least-square"},
            SpaceError,
            "method: .* got 'least-square'. Did you mean 'least-squares'",
        ),
        (sample(2), {"ridge": -1.0}, SpaceError, "ridge: should be greater than or equal to 0, got -1.0"),
        (sample(2), {"max_images": 0}, SpaceError, "max_images is 0; it must be at least 1"),
        (sample(2), {"batch_size": 0}, SpaceError, "batch_size is 0"),
    ],
)
def test_bad_input(
    tiny_net: SNNet, images: object, options: dict[str, object], error: type[SNNetError], message: str
) -> None:
    before = maps(tiny_net)
    with pytest.raises(error, match=message):
        initialize(tiny_net, images, **options)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in maps(tiny_net).items())


@pytest.mark.parametrize("block", [-1, 2])
def test_activations_that_are_not_finite_name_the_block(tiny_net: SNNet, block: int) -> None:
    model = tiny_net.anchor(1).model
    with torch.no_grad():
        (model.pos_embed if block < 0 else model.blocks[block].mlp.fc2.weight).fill_(math.inf)
    before, where = maps(tiny_net), "the stem" if block < 0 else "block 2"
    with pytest.raises(AnchorError, match=f"output of {where} of anchor 1 holds NaN or infinity"):
        initialize(tiny_net.train(), sample(2))
    assert tiny_net.training
    assert all(torch.equal(value, before[name]) for name, value in maps(tiny_net).items())


def test_features_that_are_not_what_the_anchor_says(tiny_net: SNNet) -> None:
    said = tiny_net.anchor(1).feature(-1)
    tiny_net.anchors[1] = build_tiny_anchor(32, patch_size=14)
    tiny_net.anchor(1).feature = lambda block: said  # type: ignore[method-assign]
    with pytest.raises(AnchorError, match=r"the stem of .* gives features of shape \(5, 32\), and .* says \(17, 32\)"):
        initialize(tiny_net, sample(2))


@pytest.mark.parametrize("changes", [{"reg_tokens": 2}, {"patch_size": 14}, {"reg_tokens": 1, "patch_size": 14}])
@pytest.mark.parametrize("turned", [False, True])
def test_fitted_features_are_solved_like_any(changes: dict[str, object], turned: bool) -> None:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(16), build_tiny_anchor(24, **changes)]
    if turned:
        anchors.reverse()
    space = StitchSpace.build([anchor.depths for anchor in anchors])
    net = SNNet(anchors, space, resample=True).eval()
    images = sample(20)
    initialize(net, images)
    front, back = anchors
    for spec in space.layers:
        layer, a, b = net.layer(spec.cuts[0]), [], []
        for cut in spec.cuts:
            given = front.run(front.stem(images), 0, cut.leave + 1)
            a.append(fit_positions(given, layer.source, layer.target).flatten(0, 1))
            b.append(back.run(back.stem(images), 0, cut.enter).flatten(0, 1))
        ones = torch.ones(sum(map(len, a)), 1)
        joined = torch.cat([torch.cat(a), ones], dim=1).double()
        best = torch.linalg.lstsq(joined, torch.cat(b).double(), driver="gelsd").solution
        found = torch.cat([layer.transform.weight.T, layer.transform.bias[None]]).double()
        least = (joined @ best - torch.cat(b)).norm().item()
        assert (joined @ found - torch.cat(b)).norm().item() == pytest.approx(least, rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_equals_cpu(tiny_net: SNNet) -> None:
    initialize(tiny_net, sample(20))
    expected = maps(tiny_net)
    initialize(tiny_net, sample(20), device="cuda")
    for name, value in maps(tiny_net).items():
        assert value.device.type == "cpu"
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def test_a_report_is_a_line_and_a_table(tiny_net: SNNet) -> None:
    report = initialize(tiny_net, sample(8))
    worst = max(layer.relative_residual for layer in report.layers)
    assert repr(report).startswith(f"InitReport(least-squares, {len(report.layers)} layers on 8 images, relative ")
    assert repr(report).endswith(f"to {worst:.4f})")
    page = report._repr_html_()
    assert page.count("<tr>") == 1 + len(report.layers) and report.layers[-1].name in page and f"{worst:.4f}" in page
    assert repr(initialize(tiny_net, None, method="kaiming")).endswith("layers on 0 images)")


def build_routed_net(*routes: str) -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(16), build_tiny_anchor(32)]
    return SNNet(anchors, StitchSpace.through([anchor.depths for anchor in anchors], map(Stitch, routes))).eval()


def test_layers_behind_others_are_fitted_to_what_arrives() -> None:
    """Against lstsq on features that the route itself gives, run step by step."""
    net = build_routed_net("1:0-1,0:2-3,1:3-4", "1:0-1,1:3-4", "1:0-1,0:1-2,0:3-4")
    images = sample(30)
    report = initialize(net, images, batch_size=7)
    assert [fit.name for fit in report.layers] == [layer.name for layer in net.space.layers]
    for fit, layer in zip(report.layers, net.space.layers, strict=True):
        (cut,) = layer.cuts
        route = next(
            s for s in net.space for hop in zip(s.cuts, s.beginnings, strict=True) if net.space.layer_of(*hop) == layer
        )
        features = images
        for step in net.steps(route):
            if step.layer == layer.name:
                break
            features = net.run_step(step, features).detach()
        a = features.flatten(0, 1).double()
        back = net.anchor(cut.back)
        b = back.run(back.enter(images), 0, cut.enter).detach().flatten(0, 1).double()
        best = relative_residual(a, b, *lstsq_map(a, b))
        # Features of one anchor resemble each other, so the rounding of float32 products shows.
        assert fit.relative_residual == pytest.approx(best, abs=2e-5)
        transform = net.layer_named(layer.name).transform
        assert relative_residual(a, b, transform.weight.T, transform.bias) == pytest.approx(best, abs=1e-8)


def test_a_fault_in_a_later_turn_leaves_all_layers_as_they_were() -> None:
    net = build_routed_net("1:0-1,0:2-3,1:3-4")
    before = maps(net)
    calls = 0

    def fail(done: int, total: int, note: str) -> None:
        nonlocal calls
        calls += note == "stitching layers solved"
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        initialize(net, sample(20), progress=fail)
    assert calls == 2 and all(torch.equal(value, before[name]) for name, value in maps(net).items())
    with pytest.raises(DataError, match="come only once cannot fit layers behind others"):
        initialize(net, iter([sample(20)]))


def test_cuts_both_ways_share_products() -> None:
    """A product of two features serves cuts in both directions; one that serves none of the other way is not turned."""
    layers = StitchSpace.through([[4], [4]], map(Stitch, ["0:0-2,1:3-4", "1:0-3,0:2-4", "0:0-1,1:2-4"])).layers
    plan = plan_sums(layers, [4, 4])
    pairs = {product for due in plan.due.values() for product in due if product.fronts != product.backs}
    assert pairs == {Product((Node(0, 1),), (Node(1, 2),)), Product((Node(0, 0),), (Node(1, 1),))}
    assert plan.turned == {Product((Node(0, 1),), (Node(1, 2),))}
