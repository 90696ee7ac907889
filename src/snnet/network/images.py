"""Whether something is a batch of images, or of images with labels, for a network: said in one way by all who ask."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from snnet.errors import DataError
from snnet.network.interface import TakesImages

# What mixed precision turns into the type that it computes in.
_MIXED = (torch.float32, torch.bfloat16, torch.float16)


def fits(images: Any, size: torch.Size, like: Tensor) -> bool:
    """Tell, in less than a microsecond, whether these are images of that size where and of the type that `like` is."""
    return (
        isinstance(images, Tensor)
        and images.shape[1:] == size
        and images.dtype == like.dtype
        and images.device == like.device
    )


def check_images(images: Any, size: tuple[int, ...], what: str = "The images", *, any_size: bool = False) -> Tensor:
    """Return what was given if it is a batch of float images `(N, C, H, W)`.

    Args:
        images: What was given.
        size: `(C, H, W)` that the anchors take.
        what: What the message calls it.
        any_size: Accept other heights and widths.

    Raises:
        DataError: If it is anything else.
    """
    expected = f"float images (N, {', '.join(map(str, size))}), normalized as the anchors expect"
    if not isinstance(images, Tensor):
        raise DataError(
            f"{what} are a {type(images).__name__}; expected {expected}, as a tensor. For pictures and arrays there is "
            "net.predict(images), and net.transform(picture) makes a normalized image of one."
        )
    free = any_size and images.ndim == 4 and images.shape[1] == size[0]
    if tuple(images.shape[1:]) != tuple(size) and not free:
        lacking = "; a single image needs a first axis, image[None]" if tuple(images.shape) == tuple(size) else ""
        raise DataError(f"{what} have shape {tuple(images.shape)}; expected {expected}{lacking}.")
    if not images.is_floating_point():
        raise DataError(f"{what} are {images.dtype}; expected {expected}.")
    return images


def check_batch(images: Any, net: TakesImages) -> None:
    """Refuse what is no batch of images for a network, is on another device or of a type of number that nothing adapts.

    Raises:
        DataError: If so; the message says what is accepted and how to get there.
    """
    first = next(cast(nn.Module, net).parameters())
    check_like(images, net.input.size, first, any_size=all(anchor.any_size for anchor in net.family))


def check_like(images: Any, size: tuple[int, ...], like: Tensor, *, any_size: bool = False, owner: str = "net") -> None:
    """Refuse what is no batch of images, or is not where and of the type that a tensor is; see `check_batch`.

    Args:
        images: What was given.
        size: `(C, H, W)` that is taken.
        like: A tensor of the device and type that is taken; any device, if it is a meta tensor.
        any_size: Accept other heights and widths.
        owner: What has `device` and `dtype` that the images should be given.
    """
    check_images(images, size, any_size=any_size)
    if images.device != like.device and not like.is_meta:
        raise DataError(
            f"The images are on {images.device} and the network on {like.device}; give images.to({owner}.device)."
        )
    if images.dtype == like.dtype:
        return
    if images.dtype not in _MIXED or not torch.is_autocast_enabled(images.device.type):
        raise DataError(f"The images are {images.dtype} and the network {like.dtype}; give images.to({owner}.dtype).")
