"""Classes and their ids as typed by the user: ``road,car`` or ``road=7,car=26+13``."""

from __future__ import annotations

from dataclasses import dataclass

from ..datasets.cityscapes import CLASSES, PALETTE
from ..errors import UserError

# further distinct colours, in no particular order
FURTHER = [[230, 25, 75], [60, 180, 75], [255, 225, 25], [0, 130, 200], [245, 130, 48], [145, 30, 180], [70, 240, 240]]
FURTHER += [[240, 50, 230], [210, 245, 60], [250, 190, 212], [0, 128, 128], [170, 110, 40], [128, 0, 0], [0, 0, 128]]


@dataclass
class ClassIds:
    """Which ids in a folder of labels belong to which class; ``option`` is the flag that set them, for messages."""

    ids: dict[str, list[int]]  # class → ids
    option: str
    given: bool  # ids, not only names: other ids are then ignored, otherwise an error

    @property
    def every(self) -> list[int]:
        return sum(self.ids.values(), [])

    @classmethod
    def parse(cls, text: str, option: str, least: int = 1) -> ClassIds:
        """The classes in the order of the text. Names without ids get the ids 0, 1, 2, …

        Raises:
            UserError: If there are no classes or fewer than ``least``, a class or an id is given twice, only some
                classes have ids, or an id is invalid.
        """
        entries = [entry.partition('=') for entry in text.split(',') if entry.strip()]
        names = [name.strip() for name, _, _ in entries]
        given = [bool(equals) for _, equals, _ in entries]
        if not entries or '' in names:
            raise UserError(f'{option} {text!r} contains no class: write e.g. road,car or, with ids, road=7,car=26+13')
        if len(entries) < least:
            raise UserError(
                f'{option} has only the class {names[0]!r}, but a segmentor needs at least two: add the background '
                f'with its ids, as in background=0,{names[0]}=1'
            )
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f'{option} has {doubled!r} twice: join its ids with +, as in car=26+13')
        if any(given) and not all(given):
            bare = names[given.index(False)]
            raise UserError(f'{option} gives ids to some classes only: write {bare}=<id>, or remove all ids')
        numbers = [text.split('+') if equals else [str(i)] for i, (_, equals, text) in enumerate(entries)]
        found = cls({name: [to_id(i, option) for i in of] for name, of in zip(names, numbers)}, option, all(given))
        if doubled := [i for i in found.every if found.every.count(i) > 1]:
            raise UserError(f'{option} has the id {doubled[0]} twice: use each id for one class only')
        return found


def to_id(text: str, option: str) -> int:
    if not text.strip().isdigit() or int(text) > 255:
        raise UserError(
            f'{option}: {text.strip()!r} is not a class id: ids must be in 0…255 (255 is ignored unless a class has it)'
        )
    return int(text)


def palette_of(classes: list[str]) -> list[list[int]]:
    """Cityscapes' colours for its classes, other colours for other classes."""
    own = dict(zip(CLASSES, PALETTE))
    further = iter(FURTHER * (1 + len(classes) // len(FURTHER)))
    return [list(own[name]) if name in own else next(further) for name in classes]
