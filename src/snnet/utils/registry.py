"""Name -> object: the one way in which families, samplers and other parts are looked up."""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from snnet.errors import RecipeError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A named collection that users can add to, in code or through an entry point.

    Args:
        kind: What the entries are, for messages ("sampler").
        group: Entry point group (`snnet.samplers`) whose modules are imported before the first look-up,
            so that an installed package can register its own entries.
        modules: Modules of this package that register entries; imported when the registry is first used.
    """

    def __init__(self, kind: str, group: str | None = None, modules: Sequence[str] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._pending_group = group
        self._pending_modules = modules

    def __len__(self) -> int:
        """Return how many objects are filed so far; installed packages are not looked for."""
        self._import_modules()
        return len(self._entries)

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files an object under `name`.

        Raises:
            RecipeError: If another object bears the name.
        """

        def add(entry: T) -> T:
            self._import_modules()
            if self._entries.setdefault(name, entry) is not entry:
                raise RecipeError(f"There is already a {self.kind} named {name!r}; choose another name.")
            return entry

        return add

    def get(self, name: str) -> T:
        """Return the object filed under `name`.

        Raises:
            RecipeError: If there is none; the message lists the names there are.
        """
        self._load_plugins()
        if name not in self._entries:
            hint = did_you_mean(name, self._entries)
            raise RecipeError(f"Unknown {self.kind} {name!r}; accepted: {', '.join(self._entries)}.{hint}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return all names in the order of registration."""
        self._load_plugins()
        return tuple(self._entries)

    def values(self) -> tuple[T, ...]:
        """Return all objects in the order of registration."""
        self._load_plugins()
        return tuple(self._entries.values())

    def _import_modules(self) -> None:
        modules, self._pending_modules = self._pending_modules, ()
        for module in modules:
            import_module(module)

    def _load_plugins(self) -> None:
        self._import_modules()
        group, self._pending_group = self._pending_group, None
        for point in entry_points(group=group) if group else ():
            try:
                point.load()
            except Exception as error:  # a package of the user's own may raise anything
                self._pending_group = group
                package = point.dist.name if point.dist else point.value
                raise RecipeError(
                    f"The package {package} cannot be loaded, whose entry point {point.name!r} of {group} adds to what "
                    f"there is: {type(error).__name__}: {error}; repair or uninstall it."
                ) from error
