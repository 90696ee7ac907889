import torch

from snnet.runtime.engines import ENGINES, Conditions


def test_a_loaded_stitch_equals_the_network(tiny_net):
    images = torch.randn(2, *tiny_net.input.size)
    engine = ENGINES.get("eager")(tiny_net)
    for stitch in tiny_net.space[:4]:
        with torch.no_grad():
            expected = tiny_net.eval()(images, stitch)
        assert torch.equal(engine.load(stitch)(images), expected)


def test_steps_one_after_another_equal_the_stitch(tiny_net):
    images = torch.randn(2, *tiny_net.input.size)
    engine = ENGINES.get("eager")(tiny_net)
    stitch = tiny_net.space[-1]
    features = images
    for step in tiny_net.steps(stitch):
        features = engine.load_step(step, features)(features)
    assert torch.allclose(features, engine.load(stitch)(images), rtol=1e-5, atol=1e-6)


def test_weights_of_the_same_type_and_place_are_shared(tiny_net):
    engine = ENGINES.get("eager")(tiny_net)
    assert next(engine.replica.parameters()).data_ptr() == next(tiny_net.parameters()).data_ptr()
    double = ENGINES.get("eager")(tiny_net, Conditions.of(tiny_net, precision="fp64"))
    assert double.load(0)(torch.randn(1, *tiny_net.input.size, dtype=torch.float64)).dtype == torch.float64
    assert next(tiny_net.parameters()).dtype == torch.float32
