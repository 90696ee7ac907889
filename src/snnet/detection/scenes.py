"""Scenes of the embedded garments as torchvision's detectors want them."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from snnet.data import SceneSource

Target = dict[str, Tensor]
"""`boxes` `(K, 4)` (left, top, right and bottom in pixels), `labels` `(K,)` from 1, and `masks` `(K, H, W)`."""


class DetectionScenes(Dataset[tuple[Tensor, Target]]):
    """Images `(1, H, W)` with pixels from 0 to 1, each with the boxes, classes and masks of the garments that are seen.

    Args:
        source: The scenes; its `classes` are the names, of which 0 is the ground.
    """

    def __init__(self, source: SceneSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        if not 0 <= index < len(self):
            raise IndexError(f"There is no scene {index} of {len(self)}.")
        scene = self.source.scene(index)
        found = scene.instances
        boxes = torch.from_numpy(found.boxes)
        corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
        masks, labels = torch.from_numpy(found.masks).byte(), torch.from_numpy(found.labels)
        return torch.from_numpy(scene.pixels)[None] / 255, {"boxes": corners, "labels": labels, "masks": masks}


def collate(batch: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Return images and targets as two lists, as detectors take them: the `collate_fn` of a `DataLoader`.

    Args:
        batch: Pairs of an image and its target.
    """
    return [image for image, _ in batch], [target for _, target in batch]
