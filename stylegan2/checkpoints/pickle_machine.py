"""A pickle reader that cannot call anything.

Python's own `pickle.Unpickler`, however its `find_class` is restricted, still calls what it is given and sets
attributes on it. This is an interpreter of the same opcodes that builds plain data only: numbers, strings, bytes,
lists, dictionaries, and the inert records below. A REDUCE looks its callable's *name* up in a fixed table of builders.

    Global  a reference to something importable: a name, never the thing
    Record  an object of an allowed class: its class name, arguments, state and items, as data

Source  the Python library's pickletools, which lists every opcode with its meaning
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

from ..errors import ForeignCheckpoint, TruncatedCheckpoint, UnsafeCheckpoint, UnsupportedArchitecture

OPCODE_LIMIT = 5_000_000  # the largest published checkpoints have some ten thousands
KEY_TYPES = (str, int, float, bytes, bool, type(None))  # others could make hashing itself the attack


@dataclass(frozen=True)
class Global:
    name: str  # "module.attribute"


@dataclass(eq=False)
class Record:
    kind: str
    args: tuple = ()
    state: Any = None
    items: dict = field(default_factory=dict)


class Dict(dict):
    """A dictionary that came from a class (OrderedDict, EasyDict); attributes set on it are dropped."""


Builder = Callable[..., Any]


class _Mark:
    pass


class MalformedError(Exception):
    """The pickle is not well formed; the message is for developers."""


class LimitedReader:
    """A file that never allocates more than is left of it, whatever length an opcode claims."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def read(self, n: int = -1) -> bytes:
        left = self.size - self.file.tell()
        return self.file.read(left if n < 0 else min(n, left))

    def readline(self) -> bytes:
        return self.file.readline(1_000_000)

    def tell(self) -> int:
        return self.file.tell()


class PickleMachine:
    """Reads one pickle.

    builders    what may stand in a GLOBAL, and what a REDUCE of it makes; None = an inert Record
    persistent  makes something of a persistent id
    source      names the file in sentences
    """

    def __init__(
        self,
        source: str,
        builders: Mapping[str, Builder | None],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.source, self.builders, self.persistent = source, builders, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self, file: LimitedReader) -> Any:
        """The value of the pickle that starts at the file's position, which is left behind its end.

        Raises  UnsafeCheckpoint, TruncatedCheckpoint, ForeignCheckpoint, UnsupportedArchitecture
        """
        self.stack, self.memo = [], {}
        try:
            for count, (opcode, arg, _) in enumerate(pickletools.genops(cast(IO[bytes], file))):
                if count > OPCODE_LIMIT:
                    raise MalformedError("too many opcodes")
                if opcode.name == "STOP":
                    break
                self._step(opcode.name, arg)
            return self._pop()
        except (MalformedError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ForeignCheckpoint(
                f"{self.source} is no well-formed pickle, so it is no StyleGAN2 checkpoint; get the file again."
            ) from error
        except ValueError as error:  # pickletools' own complaints
            if "opcode" in str(error) and "unknown" in str(error):
                raise ForeignCheckpoint(
                    f"{self.source} is damaged or of another kind of file, not a StyleGAN2 checkpoint; get it again."
                ) from error
            raise TruncatedCheckpoint(
                f"{self.source} ends too early or is damaged; download it again and compare the sizes."
            ) from error

    def _step(self, name: str, arg: Any) -> None:
        if name in _VALUES:
            self.stack.append(arg)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _PUTS:
            self.memo[len(self.memo) if name == "MEMOIZE" else int(arg)] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[int(arg)])
        else:
            step = _STEPS.get(name)
            if step is None:  # EXT1, NEXT_BUFFER, ...: they reach outside the file
                raise UnsafeCheckpoint(self._unsafe(f"the pickle instruction {name}"))
            step(self, arg)

    def _pop(self) -> Any:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise MalformedError("a mark where a value is needed")
        return value

    def _pop_mark(self) -> list[Any]:
        for i in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[i], _Mark):
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        raise MalformedError("no mark")

    def _find(self, module: str, attribute: str) -> Global:
        name = f"{module}.{attribute}"
        if name == "tfutil.Network":
            raise UnsupportedArchitecture(f"{self.source} is a Progressive GAN (of 2018); give a StyleGAN2 model.")
        if name not in self.builders:
            raise UnsafeCheckpoint(self._unsafe(repr(name[:80])))
        return Global(name)

    def _unsafe(self, what: str) -> str:
        return (
            f"{self.source} asks for {what}, which no StyleGAN2 checkpoint needs; nothing of it was run: "
            "get the model from its publisher."
        )

    def _call(self, called: Any, args: Any, *, kind: str) -> Any:
        if not isinstance(called, Global):
            raise UnsafeCheckpoint(self._unsafe("a call of something that it made itself"))
        if not isinstance(args, tuple):
            raise MalformedError("arguments are no tuple")
        builder = self.builders[called.name]
        if builder is None:
            return Record(called.name, args)
        if kind == "new" and builder in (make_dict, make_list):
            return builder()
        return builder(*args)


def make_dict(*args: Any) -> Dict:
    """OrderedDict(), OrderedDict([[k, v], ...])."""
    made = Dict()
    for key, value in args[0] if args else ():
        _set_item(made, key, value)
    return made


def make_list(*args: Any) -> list:
    """set([...]), frozenset([...]), list([...]): all lists here."""
    return list(args[0]) if args else []


def _set_item(target: Any, key: Any, value: Any) -> None:
    if not isinstance(key, KEY_TYPES):
        raise MalformedError("a key that is no plain value")
    if isinstance(target, Record):
        target.items[key] = value
    elif isinstance(target, dict):
        target[key] = value
    else:
        raise MalformedError("items for something that is no dictionary")


def _set_pairs(target: Any, values: list[Any]) -> None:
    if len(values) % 2:
        raise MalformedError("a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        _set_item(target, key, value)


# One function for each instruction: (machine, the instruction's argument).


def _skip(machine: PickleMachine, arg: Any) -> None:
    pass


def _drop(machine: PickleMachine, arg: Any) -> None:
    machine.stack.pop()


def _drop_mark(machine: PickleMachine, arg: Any) -> None:
    machine._pop_mark()


def _duplicate(machine: PickleMachine, arg: Any) -> None:
    machine.stack.append(machine.stack[-1])


def _list(machine: PickleMachine, arg: Any) -> None:
    machine.stack.append(machine._pop_mark())


def _tuple_of_marked(machine: PickleMachine, arg: Any) -> None:
    machine.stack.append(tuple(machine._pop_mark()))


def _dict(machine: PickleMachine, arg: Any) -> None:
    made: dict = {}
    _set_pairs(made, machine._pop_mark())
    machine.stack.append(made)


def _append(machine: PickleMachine, arg: Any) -> None:
    value = machine._pop()
    _list_at_top(machine).append(value)


def _extend(machine: PickleMachine, arg: Any) -> None:
    values = machine._pop_mark()
    _list_at_top(machine).extend(values)


def _list_at_top(machine: PickleMachine) -> list:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise MalformedError("elements for something that is no list")
    return target


def _set_one(machine: PickleMachine, arg: Any) -> None:
    value, key = machine._pop(), machine._pop()
    _set_item(machine.stack[-1], key, value)


def _set_items(machine: PickleMachine, arg: Any) -> None:
    values = machine._pop_mark()
    _set_pairs(machine.stack[-1], values)


def _tuple(n: int) -> Callable[[PickleMachine, Any], None]:
    def step(machine: PickleMachine, arg: Any) -> None:
        values = [machine._pop() for _ in range(n)]
        machine.stack.append(tuple(reversed(values)))

    return step


def _global(machine: PickleMachine, arg: str) -> None:
    module, _, attribute = arg.partition(" ")
    machine.stack.append(machine._find(module, attribute))


def _stack_global(machine: PickleMachine, arg: Any) -> None:
    attribute, module = machine._pop(), machine._pop()
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise MalformedError("a global without a name")
    machine.stack.append(machine._find(module, attribute))


def _reduce(machine: PickleMachine, arg: Any) -> None:
    args, called = machine._pop(), machine._pop()
    machine.stack.append(machine._call(called, args, kind="reduce"))


def _newobj(machine: PickleMachine, arg: Any) -> None:
    args, called = machine._pop(), machine._pop()
    machine.stack.append(machine._call(called, args, kind="new"))


def _newobj_ex(machine: PickleMachine, arg: Any) -> None:
    machine._pop()  # keyword arguments: for __new__, of which we run none
    _newobj(machine, arg)


def _inst(machine: PickleMachine, arg: str) -> None:
    args = machine._pop_mark()
    _global(machine, arg)
    machine.stack.append(machine._call(machine._pop(), tuple(args), kind="new"))


def _obj(machine: PickleMachine, arg: Any) -> None:
    called, *args = machine._pop_mark()
    machine.stack.append(machine._call(called, tuple(args), kind="new"))


def _build(machine: PickleMachine, arg: Any) -> None:
    state, target = machine._pop(), machine.stack[-1]
    if isinstance(target, Record):
        target.state = state
    elif isinstance(target, Global) or not isinstance(target, Dict):
        raise UnsafeCheckpoint(machine._unsafe("attributes to be set on something that has none"))


def _persistent(machine: PickleMachine, pid: Any) -> None:
    if machine.persistent is None:
        raise MalformedError("a persistent id without a container")
    machine.stack.append(machine.persistent(pid))


def _binary_persistent(machine: PickleMachine, arg: Any) -> None:
    _persistent(machine, machine._pop())


_VALUES = frozenset(
    name
    for kind in (
        "INT LONG FLOAT BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT",
        "STRING BINSTRING SHORT_BINSTRING",
        "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8",
        "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8",
    )
    for name in kind.split()
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": _Mark,
}
_STEPS: dict[str, Callable[[PickleMachine, Any], None]] = {
    "PROTO": _skip,
    "FRAME": _skip,
    "POP": _drop,
    "POP_MARK": _drop_mark,
    "DUP": _duplicate,
    "APPEND": _append,
    "APPENDS": _extend,
    "ADDITEMS": _extend,
    "LIST": _list,
    "FROZENSET": _list,
    "TUPLE": _tuple_of_marked,
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "DICT": _dict,
    "SETITEM": _set_one,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "INST": _inst,
    "OBJ": _obj,
    "BUILD": _build,
    "PERSID": _persistent,
    "BINPERSID": _binary_persistent,
}
