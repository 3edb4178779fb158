"""YAML of unknown origin: what would exhaust its reader is told before it is loaded, and what no constructor takes."""

from __future__ import annotations

import functools
from typing import Any

from sedkit.core.errors import first_line

#: Characters of a number in YAML: sixty times what any quantity needs, and few enough to be computed with.
_LONGEST_NUMBER = 300
#: Values once aliases are expanded: more than any configuration or description holds.
MOST_VALUES = 100_000
#: Collections within collections, aliases followed.
_DEEPEST = 50


@functools.cache
def yaml_loader() -> Any:
    """Return PyYAML's safe loader, which says where a value is that its constructors trip over.

    Dates of month 13, `!!int` before a text, and numbers of more digits than anything can compute with or print.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        """The safe loader."""

    def construct(loader: Any, node: Any) -> Any:
        kind = node.tag.rpartition(":")[2]
        if kind in ("int", "float") and len(node.value) > _LONGEST_NUMBER:
            problem = f"a number of {len(node.value):,} characters, expected {_LONGEST_NUMBER} at most"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        try:
            return base.yaml_constructors[node.tag](loader, node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            why = f" ({first_line(error):.80})" if isinstance(error, ValueError) and str(error) else ""
            problem = f"{node.value!r:.60} does not fit its type {kind}{why}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    for kind in ("int", "float", "bool", "binary", "timestamp"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", construct)
    return Loader


def judge_yaml(text: str, most_values: int = MOST_VALUES) -> None:
    """Judge a text before it is loaded: the loader recurses, and comparing or printing would expand every alias.

    Parameters
    ----------
    text
        YAML of unknown origin.
    most_values
        As many may it hold once aliases are expanded.

    Raises
    ------
    ValueError
        Too many values, once aliases are expanded, too deep a nesting, or an alias of what is not there yet.
    yaml.YAMLError
        No YAML.
    """
    import yaml

    # Of each anchored node, how many values it holds and how deep it goes; the same of the nodes still open.
    anchored: dict[str, tuple[int, int]] = {}
    open_nodes: list[tuple[str | None, int, int]] = []
    size = depth = 0
    for event in yaml.parse(text, Loader=yaml_loader()):
        added, below = 1, 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, size, depth))
            size = depth = 0
            added = 0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before, deepest = open_nodes.pop()
            added, below = size + 1, depth + 1
            anchored |= {anchor: (added, below)} if anchor else {}
            size, depth = before, deepest
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchored:
                raise ValueError(f"alias *{event.anchor} of what is not there yet")
            added, below = anchored[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            anchored |= {event.anchor: (1, 0)} if event.anchor else {}
        else:
            continue
        size, depth = size + added, max(depth, below)
        if size > most_values:
            raise ValueError(f"more than {most_values:,} values")
        if len(open_nodes) + below > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
