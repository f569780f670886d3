"""Which of the SDK's methods the suite has called, and with which parameters.

The methods are found in the SDK itself, so that one which a later version adds is missed here.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import GeneratorType
from typing import Any

PACKAGES = ("dashscope.assistants", "dashscope.threads", "dashscope.files")
# Every method with `**kwargs` hands these on to the request.
PASSED_ON = ("headers", "base_address", "request_timeout")


def find_classes() -> Iterator[type]:
    """The SDK's classes of calls: those that have a path."""
    for package in map(importlib.import_module, PACKAGES):
        paths = getattr(package, "__path__", ())
        found = pkgutil.walk_packages(paths, f"{package.__name__}.")
        for module in (package, *(importlib.import_module(info.name) for info in found)):
            for cls in vars(module).values():
                own = isinstance(cls, type) and cls.__module__ == module.__name__
                if own and hasattr(cls, "SUB_PATH"):
                    yield cls


def parameters_of(function: Any) -> set[str]:
    """The names that a class method takes, with those that it hands on."""
    names = set()
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        names.update(PASSED_ON if parameter.kind is parameter.VAR_KEYWORD else [parameter.name])
    return names


class Recorder:
    """Watches classes.

    Attributes:
        known: every public class method, with its parameters.
        given: every watched method that was called, with the parameters it was given.
        answered: every watched method that was answered as it should be.
    """

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}
        self.given: dict[str, set[str]] = {}
        self.answered: set[str] = set()

    def watch(self, cls: type) -> None:
        """Watch all public class methods, inherited ones too; they do what they did."""
        for name, method in inspect.getmembers(cls, inspect.ismethod):
            if not name.startswith("_"):
                label = f"{cls.__module__.removeprefix('dashscope.')}.{cls.__name__}.{name}"
                self.known[label] = parameters_of(method.__func__)
                setattr(cls, name, classmethod(self._watched(label, method.__func__)))

    def _watched(self, label: str, function: Any) -> Any:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(cls: type, *args: Any, **kwargs: Any) -> Any:
            # What the SDK calls in itself, such as `create` in `call`, is not the suite's.
            if sys._getframe(1).f_globals["__name__"].startswith("dashscope."):
                return function(cls, *args, **kwargs)
            bound = signature.bind_partial(cls, *args, **kwargs).arguments
            named = {*list(bound)[1:], *bound.get("kwargs", ())} - {"kwargs"}
            self.given.setdefault(label, set()).update(named)
            answer = function(cls, *args, **kwargs)
            # A stream says only later how it goes; the same method is called without one, too.
            told = answer is not None and not isinstance(answer, GeneratorType)
            if told and getattr(answer, "status_code", 200) == 200:
                self.answered.add(label)
            return answer

        return call


RECORDER = Recorder()
