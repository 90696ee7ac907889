"""The networks that the authors of SN-Net published, read from their own files."""

from snnet.network.published.families import FAMILIES, PublishedFamily
from snnet.network.published.load import load_published, published_space, recognized_family

__all__ = ["FAMILIES", "PublishedFamily", "load_published", "published_space", "recognized_family"]
