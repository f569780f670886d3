"""Which of an SDK's methods the suite has called, and with which parameters.

The methods are found in the SDK itself, so that one which a later version adds is missed here.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, GeneratorType
from typing import Any


@dataclass(frozen=True)
class Sdk:
    """What has to be known of an SDK.

    Attributes:
        name: its package; what it calls in itself is not the suite's.
        modules: where its classes of calls are, with all that is below.
        makes_calls: whether a class is one of them.
        went_well: whether an answer, or the last item of a stream, is what was asked for.
        passed_on: what a method with `**kwargs` hands on to the request.
    """

    name: str
    modules: tuple[str, ...]
    makes_calls: Callable[[type], bool]
    went_well: Callable[[Any], bool]
    passed_on: tuple[str, ...] = ()

    def find_classes(self) -> Iterator[type]:
        """The SDK's classes of calls."""
        for package in map(importlib.import_module, self.modules):
            paths = getattr(package, "__path__", ())
            found = pkgutil.walk_packages(paths, f"{package.__name__}.")
            for module in (package, *(importlib.import_module(info.name) for info in found)):
                for cls in vars(module).values():
                    own = isinstance(cls, type) and cls.__module__ == module.__name__
                    if own and self.makes_calls(cls):
                        yield cls


class Recorder:
    """Watches the classes of an SDK.

    Attributes:
        sdk: the SDK.
        known: every public method, with its parameters.
        given: every watched method that was called, with the parameters it was given.
        answered: every watched method that was answered as it should be.
    """

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self.known: dict[str, set[str]] = {}
        self.given: dict[str, set[str]] = {}
        self.answered: set[str] = set()

    def watch(self, cls: type) -> None:
        """Watch all public methods, inherited ones too; they do what they did."""
        for name in dir(cls):
            method = inspect.getattr_static(cls, name)
            if name.startswith("_") or not isinstance(method, classmethod | FunctionType):
                continue
            label = f"{cls.__module__}.{cls.__name__}.{name}".removeprefix(f"{self.sdk.name}.")
            if isinstance(method, classmethod):
                setattr(cls, name, classmethod(self._watched(label, method.__func__)))
            else:
                setattr(cls, name, self._watched(label, method))

    def _watched(self, label: str, function: Any) -> Any:
        signature = inspect.signature(function)
        self.known[label] = self._parameters(signature)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            # What the SDK calls in itself, such as `create` in `call`, is not the suite's.
            if sys._getframe(1).f_globals["__name__"].startswith(f"{self.sdk.name}."):
                return function(*args, **kwargs)
            bound = signature.bind_partial(*args, **kwargs).arguments
            named = {*list(bound)[1:], *bound.get("kwargs", ())} - {"kwargs"}
            self.given.setdefault(label, set()).update(named)
            answer = function(*args, **kwargs)
            if isinstance(answer, GeneratorType):
                return self._followed(label, answer)
            self._judge(label, answer)
            return answer

        return call

    def _parameters(self, signature: inspect.Signature) -> set[str]:
        """The names that a method takes, with those that it hands on."""
        names = set()
        for parameter in list(signature.parameters.values())[1:]:
            any_name = parameter.kind is parameter.VAR_KEYWORD
            names.update(self.sdk.passed_on if any_name else [parameter.name])
        return names

    def _followed(self, label: str, stream: Iterator[Any]) -> Iterator[Any]:
        """A stream as it is; it was answered when it has come to its end."""
        item = None
        for item in stream:
            yield item
        self._judge(label, item)

    def _judge(self, label: str, answer: Any) -> None:
        if self.sdk.went_well(answer):
            self.answered.add(label)
