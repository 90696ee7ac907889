"""Settings of earlier versions that are gone: what they were, and what stands in their place.

A recipe or checkpoint that holds one at the value that is now the only way is read; another value is refused.
"""

REMOVED_SETTINGS: dict[str, tuple[object, str]] = {
    "data.images": (None, "an epoch is all images; shards tell how many as shard_lengths in an _info.json"),
    "run.stitches_per_rank": (
        "same",
        "all processes train the same stitches; for a step over more of them take the sampler sandwich, or a larger "
        "run.accumulation",
    ),
    "run.sync_batch_norm": (
        False,
        "each process normalizes over its own images; take a larger data.batch_size, or fewer processes",
    ),
}
"""Dotted name in a recipe -> the value that may still be written, and what replaces the others."""


def removed_fault(name: str, value: object) -> str | None:
    """Return what is wrong with the value of a setting that is gone, None if it says what is done anyway."""
    kept, instead = REMOVED_SETTINGS[name]
    # Overrides come as text.
    return None if str(value).lower() == str(kept).lower() else f"{name}: {value!r} is gone; {instead}"
