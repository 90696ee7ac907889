import numpy as np
import pytest
import torch

from snnet.evaluation.batches import Batches
from snnet.evaluation.sample import SampleSums, draw, inclusion_probabilities, see_sample
from snnet.tasks import Embedding


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 1.0])
def test_probabilities_rise_with_doubt_and_have_the_share_as_mean(share):
    doubt = torch.rand(400, generator=torch.Generator().manual_seed(0)).sort().values
    likely = inclusion_probabilities(doubt, share)
    assert likely.mean().item() == pytest.approx(share, abs=0.01)
    assert (likely.diff() >= 0).all() and likely.min() > 0 and likely.max() <= 1


def test_an_image_is_drawn_as_often_as_its_probability_says():
    likely, generator = torch.tensor([0.05, 0.2, 0.5, 0.8, 1.0]), torch.Generator().manual_seed(0)
    counts = torch.zeros(5)
    for _ in range(4000):
        counts[draw(likely, generator)] += 1
    torch.testing.assert_close(counts / 4000, likely, atol=0.03, rtol=0)


def test_estimates_are_right_on_average_with_the_variance_they_state():
    rng = np.random.default_rng(0)
    right = torch.from_numpy(rng.random((4, 500)) < np.array([[0.9], [0.8], [0.7], [0.6]]))
    base, doubt = right[0].double(), torch.from_numpy(rng.random(500))
    truth = 100 * right[1:].double().mean(1).numpy()
    generator, errors, variances = torch.Generator().manual_seed(1), [], []
    for _ in range(300):
        sums = SampleSums(["a", "b", "c"])
        for part in (slice(0, 300), slice(300, 500)):
            likely = inclusion_probabilities(doubt[part], 0.3)
            chosen = draw(likely, generator)
            sums.add(base[part], chosen, likely, right[1:, part][:, chosen])
        found = sums.result()
        errors.append(found.score - truth)
        variances.append(np.diagonal(found.covariance).mean())
    spread = np.stack(errors)
    assert np.abs(spread.mean(0)).max() < 3 * spread.std() / np.sqrt(300)
    assert np.mean(variances) == pytest.approx(spread.var(0).mean(), rel=0.25)


def test_with_all_images_the_estimates_are_exact(tiny_net):
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(30, 1, 28, 28, generator=generator), torch.randint(10, (30,), generator=generator)
    sample, sheet = see_sample(tiny_net, Batches((images, labels), 10, 8), 1.0)
    assert sheet.seen.images == 30 and sample.share == 1.0
    assert sample.noise == pytest.approx(0.0)
    with torch.no_grad():
        for stitch, top1 in zip(sample.stitches, sample.score, strict=True):
            right = (tiny_net(images, stitch).argmax(1) == labels).double().mean().item()
            assert top1 == pytest.approx(100 * right)
    assert set(sheet.scores) == {stitch.id for stitch in tiny_net.space if stitch.is_anchor}


def test_who_is_right_says_the_task(tiny_net):
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(30, 1, 28, 28, generator=generator), torch.arange(30) % 3
    task = Embedding(torch.randn(3, 10, generator=generator).tolist())
    sample, sheet = see_sample(tiny_net, Batches((images, labels), 10, 8, task=task), 1.0)
    middle = torch.tensor(task.centers)
    with torch.no_grad():
        for stitch, score in zip(sample.stitches, sample.score, strict=True):
            nearest = torch.cosine_similarity(tiny_net(images, stitch)[:, None], middle[None], dim=2).argmax(1)
            assert score == pytest.approx(100 * (nearest == labels).double().mean().item())
    assert all("neighbors" in score.result()[0] for score in sheet.scores.values())
