"""A Lua interpreter that sees the instrument's tables and nothing of the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hilep.errors import MissingExtraError
from hilep.simulators.virtual.tsp_node import Node, TspError

_FORBIDDEN = ("os", "io", "package", "require", "dofile", "loadfile", "debug", "module", "python")
_LUA = """
return function(get, set, name)
  local meta = {__name = name}
  meta.__index = function(_, key) return get(name, key) end
  meta.__newindex = function(_, key, value) set(name, key, value) end
  meta.__call = function(_, ...) return get(name, "()")(...) end
  return setmetatable({}, meta), meta
end
"""

_KEPT = "return function(called) return function(...) return called(...) end end"


class Interpreter:
    """Lua 5.1 with tables whose attributes Python answers for.

    Raises:
        MissingExtraError: without lupa.
    """

    def __init__(self) -> None:
        try:
            from lupa.lua51 import LuaRuntime
        except ImportError:
            raise MissingExtraError("A virtual Keithley 2600B", "bench") from None
        self._lua = LuaRuntime(
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        self._names = self._lua.globals()
        self._metatable = self._lua.eval("getmetatable")
        for name in _FORBIDDEN:
            self._names[name] = None
        self._make = self._lua.execute(_LUA)
        self._nodes: dict[str, Node] = {}
        self._tables: dict[str, Any] = {}
        # A Lua function each, made once: lupa 2.8 keeps a place for every Python object that Lua
        # has seen, and calls one that Lua sees again in vain now and then.
        self._kept = self._lua.execute(_KEPT)
        self._functions: dict[Callable[..., Any], Any] = {}
        self._refused: list[TspError] = []

    def provide(self, name: str, value: Any) -> None:
        """Define a global: a node, a function, or a plain value."""
        self._names[name] = self._to_lua(value)

    def run(self, chunk: str) -> list[tuple[int, str]]:
        """Run a chunk and return the errors; only -285 and -286 end it."""
        from lupa.lua51 import LuaError, LuaSyntaxError

        self._refused = []
        errors = []
        try:
            self._lua.execute(chunk)
        except LuaSyntaxError as error:
            errors = [(-285, f"TSP Syntax error at line 1: {_first_line(error)}")]
        except TspError as error:
            code = error.code if error.code != -286 else None
            text = f"TSP Runtime error at line 1: {_first_line(error)}"
            errors = [(-286, text) if code is None else (code, error.text)]
        except (LuaError, TypeError) as error:
            errors = [(-286, f"TSP Runtime error at line 1: {_first_line(error)}")]
        return [(e.code, e.text) for e in self._refused] + errors

    def _get(self, name: str, key: Any) -> Any:
        return self._to_lua(self._nodes[name].get(key))

    def _set(self, name: str, key: Any, value: Any) -> None:
        try:
            self._nodes[name].set(key, value)
        except TspError as error:
            if error.code == -286:
                raise
            self._refused.append(error)

    def _to_lua(self, value: Any) -> Any:
        if isinstance(value, Node):
            if self._nodes.get(value.name) is not value:
                self._nodes[value.name] = value
                self._tables[value.name] = self._make(self._get, self._set, value.name)[0]
            return self._tables[value.name]
        if isinstance(value, list):
            return self._lua.table_from(value)
        return self._wrapped(value) if callable(value) else value

    def _wrapped(self, function: Callable[..., Any]) -> Any:
        known = self._functions.get(function)
        if known is not None:
            return known

        def called(*given: Any) -> Any:
            result = function(*map(self._to_python, given))
            if isinstance(result, tuple):
                return tuple(map(self._to_lua, result))
            return self._to_lua(result)

        kept = self._functions[function] = self._kept(called)
        return kept

    def _to_python(self, value: Any) -> Any:
        from lupa.lua51 import lua_type

        meta = self._metatable(value) if lua_type(value) == "table" else None
        return value if meta is None else self._nodes.get(str(meta["__name"]), value)


def _no_attributes(owner: object, name: object, setting: bool) -> object:
    raise AttributeError("a script cannot reach into the simulation")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
