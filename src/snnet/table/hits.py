"""Which images each stitch got right, a bit for each, in a file beside the table."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from snnet.errors import TableError
from snnet.utils import write_aside

FORMAT, VERSION = "snnet-hits", 1
_BEFORE = "before/"
_MEND = "evaluate into another file, or remove this one, without which the table is as good, but for gains"


@dataclass(frozen=True, repr=False)
class Hits:
    """Which of the same images each stitch classified correctly.

    Attributes:
        images: How many images there are.
        bits: Id of a stitch -> an integer whose bit `i` is 1 where it was right on image `i`.
        facts: Under what it was found: digests of network and images, precision, as in `meta["evaluation"]` of the
            table. Images have one order whatever order they came in, so hits of the same facts fit together.
        before: The same for anchors as they came, before training changed them, as far as that is known.
    """

    images: int
    bits: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stitch, bits in (*self.bits.items(), *self.before.items()):
            if bits < 0 or bits.bit_length() > self.images:
                raise TableError(f"The hits of stitch {stitch} are not those of {self.images} images.")

    @classmethod
    def of(cls, rows: Mapping[str, Iterable[object]]) -> "Hits":
        """Make hits of booleans: id of a stitch -> whether it was right, image by image, for all the same images.

        Raises:
            TableError: If stitches have other numbers of images.
        """
        texts = {stitch: "".join("1" if hit else "0" for hit in row) for stitch, row in rows.items()}
        lengths = {len(text) for text in texts.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise TableError(f"Hits are for the same images, one or more, and here are {sorted(lengths)}.")
        return cls(lengths.pop(), {stitch: int(text[::-1], 2) for stitch, text in texts.items()})

    def __repr__(self) -> str:
        return f"Hits({len(self.bits)} stitches, {self.images:,} images)"

    def __len__(self) -> int:
        return len(self.bits)

    def __contains__(self, stitch: str) -> bool:
        return stitch in self.bits

    def score(self, stitch: str) -> float:
        """Return the top-1 of a stitch, in percent."""
        return 100 * self.bits[stitch].bit_count() / self.images

    def behind(self, scores: Mapping[str, float | None], facts: Mapping[str, Any]) -> "Hits | None":
        """Return the hits of the stitches whose score they add up to, None if there are none or of other facts."""
        own = {
            stitch: self.bits[stitch] for stitch in scores if stitch in self and self.score(stitch) == scores[stitch]
        }
        return replace(self, bits=own) if own and facts == self.facts else None

    def over(self, other: "Hits | None") -> "Hits":
        """Return these hits with what others add that were found under the same facts."""
        if other is None or (other.facts, other.images) != (self.facts, self.images):
            return self
        return replace(self, bits={**other.bits, **self.bits}, before={**other.before, **self.before})

    def with_before(self, anchors: "Hits | None") -> "Hits":
        """Return these hits together with those of the anchors as they came, if they are of the same images."""
        same = anchors is not None and self._images == anchors._images
        return replace(self, before=dict(anchors.bits)) if same and anchors else self

    @property
    def _images(self) -> tuple[int, Any, Any]:
        return self.images, self.facts.get("data"), self.facts.get("precision")

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, whole or not at all: a tensor of bytes per stitch, image 0 in the lowest bit."""
        size = -(-self.images // 8)
        bits = {**self.bits, **{_BEFORE + stitch: row for stitch, row in self.before.items()}}
        data = b"".join(row.to_bytes(size, "little") for row in bits.values())
        facts = {"format": FORMAT, "version": str(VERSION), "images": str(self.images), "facts": json.dumps(self.facts)}
        header: dict[str, Any] = {
            stitch: {"dtype": "U8", "shape": [size], "data_offsets": [size * number, size * (number + 1)]}
            for number, stitch in enumerate(bits)
        }
        header["__metadata__"] = {**facts, "digest": _digest(header, facts, data)}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with write_aside(path) as partial:
            partial.write_bytes(len(text).to_bytes(8, "little") + text + data)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Hits":
        """Read hits that `save` wrote.

        Raises:
            TableError: If the file is missing, damaged or of a later version.
        """
        try:
            raw = Path(path).read_bytes()
        except OSError as error:
            raise TableError(f"{path} cannot be read as hits ({error}); {_MEND}.") from None
        try:
            header = json.loads(raw[8 : (start := 8 + int.from_bytes(raw[:8], "little"))])
            told, data = header.pop("__metadata__"), memoryview(raw)[start:]
            known, version = told["format"] == FORMAT, int(told["version"])
            if known and version <= VERSION and told.pop("digest") != _digest(header, told, data):
                raise ValueError("its digest is another")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TableError(f"{path} is damaged or holds no hits ({error}); {_MEND}.") from None
        if not known or version > VERSION:
            raise TableError(f"{path} has hits of version {version}; this snnet reads up to {VERSION}: update.")
        bits: dict[str, int] = {}
        before: dict[str, int] = {}
        for name, entry in header.items():
            row = int.from_bytes(data[slice(*entry["data_offsets"])], "little")
            (before if name.startswith(_BEFORE) else bits)[name.removeprefix(_BEFORE)] = row
        return cls(int(told["images"]), bits, json.loads(told["facts"]), before)


def hits_file(table: str | Path) -> Path:
    """Return where the hits of a table's file lie."""
    return Path(table).with_suffix(".hits.safetensors")


def _digest(header: Mapping[str, Any], facts: Mapping[str, Any], data: bytes | memoryview) -> str:
    digest = blake2b(json.dumps([dict(header), dict(facts)], sort_keys=True).encode(), digest_size=16)
    digest.update(data)
    return digest.hexdigest()
