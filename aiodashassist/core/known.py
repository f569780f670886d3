"""Which messages and runs a client has seen, and when: what was there before is nothing new."""

from msgspec import Struct

from aiodashassist.core.models import Message, Page, Run

__all__ = ("Known", "Past")

MEMORY = 10_000  # ids


class Sight(Struct, frozen=True):
    """When an object was first seen, and whether it came of a request of this client."""

    moment: int
    made: bool


class Known:
    """The ids of messages and runs that a client has seen, the newest ten thousand of them.

    Attributes:
        moment: grows with each that is new.
    """

    def __init__(self) -> None:
        self.moment = 0
        self._ids: dict[str, Sight] = {}

    def see(self, result: object) -> None:
        """Take note of what a request gave, whoever has made it."""
        if isinstance(result, Page):
            for obj in result.data:
                self.see(obj)
        elif isinstance(result, Run | Message):
            self._note(result.id, made=False)

    def add(self, obj_id: str) -> None:
        """Take note of what came of a request of this client, or is followed by it."""
        self._note(obj_id, made=True)

    def _note(self, obj_id: str, *, made: bool) -> None:
        self.moment += 1
        before = self._ids.pop(obj_id, Sight(self.moment, made))
        self._ids[obj_id] = Sight(before.moment, before.made or made)
        if len(self._ids) > MEMORY:
            del self._ids[next(iter(self._ids))]

    def sight(self, obj_id: str) -> Sight | None:
        """What is known of an object."""
        return self._ids.get(obj_id)


class Past(Struct, frozen=True):
    """What was known at a moment; what was told since does not count, it may be new.

    Others of this client may ask meanwhile, and see what came of a request before it knows itself.
    """

    known: Known
    moment: int

    def had(self, obj_id: str) -> bool:
        """Whether an object was there then."""
        sight = self.known.sight(obj_id)
        return sight is not None and sight.moment <= self.moment

    def made(self, obj_id: str) -> bool:
        """Whether an object came of a request of this client, at whatever time."""
        sight = self.known.sight(obj_id)
        return sight is not None and sight.made

    def excludes(self, obj_id: str) -> bool:
        """Whether an object cannot have come of a request that was sent then."""
        return self.had(obj_id) or self.made(obj_id)
