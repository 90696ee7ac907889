"""What one pass over the data evaluates: stitches divided into a few groups, because a finished group can be saved.

Each group is a tree of routes. Dividing costs the steps that two groups then both run, and this is kept small.
"""

from collections.abc import Callable, Mapping, Sequence

from snnet.network import Tree
from snnet.space import Step, Stitch

Weight = Callable[[Step], float]


def plan_groups(
    routes: Mapping[Stitch, Sequence[Step]],
    weight: Weight,
    *,
    max_groups: int = 16,
    max_rerun: float = 0.05,
) -> tuple[Tree, ...]:
    """Divide routes into groups, each of which is evaluated in one pass over the data and then saved.

    Routes are taken in the order of their segments, so that those that leave an anchor early come first and
    neighbors share the most. A group ends where it is heavy enough and the next route shares little with it.

    Args:
        routes: Stitches with their steps, in any order.
        weight: Rough cost of a step, in any unit.
        max_groups: Upper bound on the groups, which is also the number of passes over the data.
        max_rerun: Largest part of a group's weight that the next group may have to run again.
    """
    everything = Tree()
    for stitch, steps in routes.items():
        everything.add(stitch, steps)
    enough = everything.weight(weight) / max_groups

    groups: list[Tree] = []
    fresh = 0.0  # weight of the last group without what the group before ran too
    for stitch, steps in sorted(routes.items(), key=lambda route: route[0]):
        again = sum(map(weight, groups[-1].shared(steps))) if groups else 0.0
        if not groups or (fresh >= enough and again <= max_rerun * fresh):
            groups.append(Tree())
            fresh = 0.0
        groups[-1].add(stitch, steps)
        fresh += sum(map(weight, steps)) - again
    return tuple(groups)
