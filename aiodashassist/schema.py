"""A function's parameters as a JSON Schema for the model, and as a decoder for its answers.

Both come from one msgspec struct built from the signature, so what is promised is what is checked.
What cannot be said in JSON Schema is refused here, when the tool is made, and not turned into a
string in silence.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import docstring_parser
import msgspec
from docstring_parser import Docstring
from msgspec import UNSET, Meta, Struct

from aiodashassist.errors import InvalidArgument, ToolArgumentsError

__all__ = ("Parameters", "describe", "read_parameters")

# What decoding can raise; only the first is msgspec's own.
BROKEN = (msgspec.MsgspecError, UnicodeError, RecursionError)
UNSAYABLE = (TypeError, RuntimeError, KeyError, RecursionError, NameError)
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
        if isinstance(error, UnicodeError):
            return "they are no valid text"  # the error's own words quote them
        reason = str(error) or type(error).__name__
        missed = re.search(r"Invalid enum value .* - at `\$(.*)`$", reason)
        nodes = [self.schema] if missed is not None else []
        for name in re.findall(r"\.(\w+)|\[.*?\]", missed[1] if missed is not None else ""):
            nodes = [inner for node in nodes for inner in _inside(node, name)]
        choices = [repr(choice) for node in nodes for choice in _choices(node)]
        return f"{reason}; allowed: {', '.join(choices)}" if choices else reason


def describe(function: Callable[..., Any]) -> str:
    """What a docstring says of a function itself; `""` where there is none."""
    parsed = _docstring(function)
    return "\n\n".join(filter(None, (parsed.short_description, parsed.long_description)))


def read_parameters(function: Callable[..., Any], context_type: type) -> Parameters:
    """The parameters of a function; one annotated with `context_type` is not the model's.

    Raises:
        InvalidArgument: a parameter cannot be described, or the function takes `*args`,
            `**kwargs` or positional-only parameters; the message names function and parameter.
    """
    documented = {param.arg_name: param.description for param in _docstring(function).params}
    fields: list[tuple[str, Any, Any]] = []
    defaults: dict[str, Any] = {}
    context = None
    for parameter, hint in _parameters(function):
        where = f"{_name(function)}: {parameter.name}"
        bare, _ = _parted(hint)
        if context_type in (bare, get_origin(bare)):
            if context is not None:
                raise InvalidArgument(f"{where} is a second context")
            context = parameter.name
            continue
        typed = _described(hint, documented.get(parameter.name), where)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, typed, msgspec.NODEFAULT))
        else:
            fields.append((parameter.name, typed | msgspec.UnsetType, UNSET))
            defaults[parameter.name] = parameter.default
    struct = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    schema = _schema(struct, _name(function))
    schema.setdefault("properties", {})
    schema.setdefault("required", [])
    for name, default in defaults.items():
        _show_default(schema["properties"][name], default)
    return Parameters(schema, context, msgspec.json.Decoder(struct))


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any]]:
    target, bound = _unwrapped(function)
    if not inspect.isroutine(target):
        target = target.__call__
    try:
        hints = get_type_hints(target, include_extras=True)
        signature = inspect.signature(function)
    except (NameError, TypeError, ValueError) as error:
        raise InvalidArgument(f"{_name(function)}: its types cannot be found: {error}") from error
    for parameter in signature.parameters.values():
        where = f"{_name(function)}: {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidArgument(f"{where} takes any number of arguments: it cannot be described")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise InvalidArgument(f"{where} is positional-only")
        if parameter.name in bound:
            continue
        if parameter.name not in hints:
            raise InvalidArgument(f"{_name(function)}: parameter {parameter.name} needs a type")
        yield parameter, hints[parameter.name]


def _unwrapped(function: Any) -> tuple[Any, set[str]]:
    """The function in a `partial`, and what is bound: not the model's to choose, nor to see."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound |= function.keywords.keys()
        function = function.func
    return function, bound


def _described(hint: Any, documented: str | None, where: str) -> Any:
    """A type with its description: plain text in `Annotated` first, then the docstring's."""
    plain, notes = _parted(hint)
    for member in get_args(plain):  # Optional[Annotated[...]]
        notes += [note for note in _parted(member)[1] if isinstance(note, str)]
    metas = [Meta(description=note) if isinstance(note, str) else note for note in notes]
    metas = [meta for meta in metas if isinstance(meta, Meta)]
    if documented and not any(meta.description for meta in metas):
        metas.append(Meta(description=documented))
    if _has_type_variable(plain):
        raise InvalidArgument(f"{where} has a type variable")
    if plain is Any and not metas:
        raise InvalidArgument(f"{where} is Any and nothing says what it is")
    _schema(plain, where)
    for meta in metas:
        plain = Annotated[plain, meta]
    return plain


def _parted(hint: Any) -> tuple[Any, list[Any]]:
    """A type and its notes."""
    if get_origin(hint) is not Annotated:
        return hint, []
    plain, *notes = get_args(hint)
    return plain, notes


def _has_type_variable(hint: Any) -> bool:
    generic = getattr(hint, "__parameters__", None)  # a bare generic class has them too
    return (
        isinstance(hint, TypeVar) or bool(generic) or any(map(_has_type_variable, get_args(hint)))
    )


def _docstring(function: Callable[..., Any]) -> Docstring:
    text = inspect.getdoc(_unwrapped(function)[0]) or ""
    try:
        return docstring_parser.parse(text)
    except (docstring_parser.ParseError, IndexError):  # of some odd lines; they say something yet
        plain = Docstring()
        plain.short_description = text
        return plain


def _schema(kind: Any, where: str) -> dict[str, Any]:
    """A type's schema, inlined.

    Raises:
        InvalidArgument: JSON Schema cannot say it; `where` is what the message begins with.
    """

    def refuse(odd: type) -> dict[str, Any]:
        raise TypeError(f"type {odd} is not supported")

    try:
        return _inlined(msgspec.json.schema(kind, schema_hook=refuse))
    except UNSAYABLE as error:
        reason = str(error).splitlines()[-1]  # msgspec gives its advice first
        raise InvalidArgument(f"{where} cannot be described: {reason}") from error


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every `$ref` replaced by what it points at, and struct titles dropped."""
    definitions = schema.pop("$defs", {})

    def resolve(node: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        if "$ref" not in node:
            return {key: within(node, key, inside) for key in node if not dropped(node, key)}
        name = node["$ref"].rpartition("/")[2]
        if name in inside:
            raise TypeError(f"{name} contains itself")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {**resolve(definitions[name], (*inside, name)), **rest}

    def within(node: dict[str, Any], key: str, inside: tuple[str, ...]) -> Any:
        value = node[key]
        if key == "properties":  # a mapping of names, which may be any words
            return {name: resolve(inner, inside) for name, inner in value.items()}
        if key in DATA:
            return value
        if isinstance(value, list):
            return [resolve(i, inside) if isinstance(i, dict) else i for i in value]
        return resolve(value, inside) if isinstance(value, dict) else value

    def dropped(node: dict[str, Any], key: str) -> bool:
        named = key == "title" and bool(node.keys() & {"properties", "enum"})
        return named or key == "discriminator"  # which is made of references

    return resolve(schema, ())


def _show_default(schema: dict[str, Any], default: object) -> None:
    """Show a default that JSON can say; the function keeps its own in any case."""
    try:
        shown = msgspec.to_builtins(default, str_keys=True)
        json.dumps(shown, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return
    schema["default"] = shown


def _inside(schema: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The schemas of a property; of items and values where there is no name."""
    if name:
        found = [schema.get("properties", {}).get(name)]
    else:
        found = [schema.get("items"), schema.get("additionalProperties")]
        found += schema.get("prefixItems", ())
    yield from (each for each in found if isinstance(each, dict))
    for inner in schema.get("anyOf", ()):
        yield from _inside(inner, name)


def _choices(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from schema.get("enum", ())
    for inner in schema.get("anyOf", ()):
        yield from _choices(inner)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
