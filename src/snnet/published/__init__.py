"""The networks that the authors of SN-Net published, read from their own files."""

from snnet.published.families import FAMILIES, PublishedFamily
from snnet.published.load import load_published
from snnet.published.space import published_space

__all__ = ["FAMILIES", "PublishedFamily", "load_published", "published_space"]
