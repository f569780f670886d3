"""A function's parameters as a JSON Schema for the model, and as a decoder for its answers.

Both come from one msgspec struct built from the signature, so what is promised is what is checked.
What cannot be said in JSON Schema is refused here, when the tool is made, and not turned into a
string in silence.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import docstring_parser
import msgspec
from msgspec import UNSET, Meta, Struct

from aiodashassist.errors import InvalidArgument, ToolArgumentsError

__all__ = ("Parameters", "describe", "read_parameters")

# What decoding can raise; only the first is msgspec's own.
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
DATA = ("default", "enum", "const", "examples")  # of a schema: values, not schemas


class Parameters(Struct, frozen=True):
    """The parameters of one function.

    Attributes:
        schema: the JSON Schema, without any `$ref`.
        context: the name of the parameter that takes the context; None where there is none.
    """

    schema: dict[str, Any]
    context: str | None
    _decoder: msgspec.json.Decoder[Any]

    def decode(self, arguments: str) -> dict[str, Any]:
        """The arguments that a model gave, validated; those it left out are left out here.

        Raises:
            ToolArgumentsError: they are no JSON or do not fit; the text is for the model.
        """
        try:
            decoded = self._decoder.decode(arguments.strip() or "{}")
        except BROKEN as error:
            raise ToolArgumentsError(f"invalid arguments: {self._reason(error)}") from error
        given = ((name, getattr(decoded, name)) for name in decoded.__struct_fields__)
        return {name: value for name, value in given if value is not UNSET}

    def _reason(self, error: Exception) -> str:
        """What is wrong, with the allowed values where a choice was missed."""
        reason = str(error) or type(error).__name__
        missed = re.search(r"Invalid enum value .* - at `\$\.(\w+)", reason)
        if missed is not None:
            choices = list(_choices(self.schema["properties"].get(missed[1], {})))
            reason += f"; allowed: {', '.join(map(repr, choices))}"
        return reason


def describe(function: Callable[..., Any]) -> str:
    """What a docstring says of a function itself; `""` where there is none."""
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    return "\n\n".join(filter(None, (parsed.short_description, parsed.long_description)))


def read_parameters(function: Callable[..., Any], context_type: type) -> Parameters:
    """The parameters of a function; one annotated with `context_type` is not the model's.

    Raises:
        InvalidArgument: a parameter cannot be described, or the function takes `*args`,
            `**kwargs` or positional-only parameters.
    """
    documented = _documented(function)
    fields: list[tuple[str, Any, Any]] = []
    defaults: dict[str, Any] = {}
    context = None
    for parameter, hint in _parameters(function):
        if context_type in (hint, get_origin(hint)):
            context = parameter.name
            continue
        typed = _described(parameter.name, hint, documented.get(parameter.name), function)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, typed, msgspec.NODEFAULT))
        else:
            fields.append((parameter.name, typed | msgspec.UnsetType, UNSET))
            defaults[parameter.name] = parameter.default
    try:
        struct = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        schema = _inlined(msgspec.json.schema(struct))
        decoder = msgspec.json.Decoder(struct)
    except (TypeError, RuntimeError, KeyError, RecursionError, NameError) as error:
        reason = str(error).splitlines()[-1]  # msgspec gives its advice first
        raise InvalidArgument(f"{_name(function)}: cannot be described: {reason}") from error
    for name, default in defaults.items():
        _show_default(schema["properties"][name], default)
    return Parameters(schema, context, decoder)


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any]]:
    target: Any = function
    bound: set[str] = set()
    while isinstance(target, functools.partial):
        bound |= target.keywords.keys()  # given already: not the model's to choose, nor to see
        target = target.func
    if not inspect.isroutine(target):
        target = target.__call__
    try:
        hints = get_type_hints(target, include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidArgument(f"{_name(function)}: its types cannot be found: {error}") from error
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidArgument(f"{_name(function)}: *{parameter.name} cannot be described")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise InvalidArgument(f"{_name(function)}: {parameter.name} is positional-only")
        if parameter.name in bound:
            continue
        if parameter.name not in hints:
            raise InvalidArgument(f"{_name(function)}: parameter {parameter.name} needs a type")
        yield parameter, hints[parameter.name]


def _described(name: str, hint: Any, documented: str | None, function: Callable[..., Any]) -> Any:
    """A type with its description: plain text in `Annotated` first, then the docstring's."""
    plain, notes = hint, []
    if get_origin(hint) is Annotated:
        plain, *notes = get_args(hint)
    notes = [Meta(description=note) if isinstance(note, str) else note for note in notes]
    metas = [note for note in notes if isinstance(note, Meta)]
    if documented and not any(meta.description for meta in metas):
        metas.append(Meta(description=documented))
    if _has_type_variable(plain):
        raise InvalidArgument(f"{_name(function)}: {name} has a type variable")
    if plain is Any and not metas:
        raise InvalidArgument(f"{_name(function)}: {name} is Any and nothing says what it is")
    for meta in metas:
        plain = Annotated[plain, meta]
    return plain


def _has_type_variable(hint: Any) -> bool:
    return isinstance(hint, TypeVar) or any(map(_has_type_variable, get_args(hint)))


def _documented(function: Callable[..., Any]) -> Mapping[str, str | None]:
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    return {param.arg_name: param.description for param in parsed.params}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every `$ref` replaced by what it points at, and struct titles dropped."""
    definitions = schema.get("$defs", {})

    def resolve(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [resolve(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name in inside:
                raise TypeError(f"{name} contains itself")
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return {**resolve(definitions[name], (*inside, name)), **rest}
        plain = {}
        for key, value in node.items():
            if key == "properties":  # a mapping of names, which may be any words
                plain[key] = {name: resolve(inner, inside) for name, inner in value.items()}
            elif key in DATA:
                plain[key] = value
            elif key != "title" or not node.keys() & {"properties", "enum"}:
                plain[key] = resolve(value, inside)
        return plain

    body: dict[str, Any] = resolve({k: v for k, v in schema.items() if k != "$defs"}, ())
    body.setdefault("properties", {})
    body.setdefault("required", [])
    return body


def _show_default(schema: dict[str, Any], default: object) -> None:
    """Show a default that JSON can say; the function keeps its own in any case."""
    try:
        schema["default"] = msgspec.to_builtins(default)
    except (TypeError, ValueError, RecursionError):
        return


def _choices(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from schema.get("enum", ())
    for key in ("anyOf", "allOf"):
        for inner in schema.get(key, ()):
            yield from _choices(inner)
    if "items" in schema:
        yield from _choices(schema["items"])


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
