"""Images by name, from folders, shards, torchvision, timm or the package itself, as batches that resume exactly."""

from snnet.data.augment import BatchAugment
from snnet.data.calibration import calibration_images
from snnet.data.classes import check_classes, classes_of
from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.datasets import Images, fixed_choice, open_dataset, open_pair
from snnet.data.images import ImageDataset, StreamImages, TensorImages
from snnet.data.loader import EvalBatches, TrainBatches, eval_batches, train_batches
from snnet.data.sources import SOURCES, ArraySource, ImageSource, Request
from snnet.data.stream_batches import StreamBatches
from snnet.data.streams import Order, RawImage, StreamSource
from snnet.data.transforms import Augmentation, clean_transform, train_transform

__all__ = [
    "SOURCES",
    "ArraySource",
    "Augmentation",
    "BatchAugment",
    "CorruptImageError",
    "EvalBatches",
    "ImageDataset",
    "ImageSource",
    "Images",
    "Order",
    "RawImage",
    "Request",
    "SkippedImages",
    "StreamBatches",
    "StreamImages",
    "StreamSource",
    "TensorImages",
    "TrainBatches",
    "calibration_images",
    "check_classes",
    "classes_of",
    "clean_transform",
    "eval_batches",
    "fixed_choice",
    "open_dataset",
    "open_pair",
    "train_batches",
    "train_transform",
]
