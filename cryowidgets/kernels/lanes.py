"""Eight numbers at a time, for loops on the host that a compiler does not turn into vector instructions by itself.

A function of `Lanes` is written like one of numbers. It is run once, while a loop that calls it is compiled, and what
it does to its arguments becomes instructions of that loop, for any processor: one with wider or narrower registers
takes them in fewer or more pieces. There are no branches and no returned values: results are stored.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDTH = 8

EVEN, ODD = [0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15]
"""Orders, as of `Lanes.mixed`: every second of sixteen."""

_FLOAT, _LONG = ir.FloatType(), ir.IntType(64)
_LANES = ir.VectorType(_FLOAT, WIDTH)
_FREE = ("contract", "arcp", "nsz", "reassoc")


def emitted(function: Callable[..., None]) -> Any:
    """Make a function of `Memory`, `Place` and `Lanes` one that compiled loops call with arrays, int64 and float32.

    Arrays must be C-contiguous; of any number of axes, they are seen as one. Numbers are spread over all lanes.
    """

    def typed(context: Any, *args: Any) -> Any:
        def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
            function(*(_wrapped(target, builder, *pair) for pair in zip(signature.args, values, strict=True)))
            return target.get_dummy_value()

        return types.void(*(types.unliteral(a) for a in args)), generate

    own = inspect.signature(function)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in own.parameters.values()]
    typed.__signature__ = inspect.Signature([context, *plain])  # type: ignore[attr-defined]
    typed.__name__ = function.__name__
    typed.__doc__ = function.__doc__
    return intrinsic(typed)


class Lanes:
    """Eight float32."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fadd(self.value, other.value, flags=_FREE))

    def __sub__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fsub(self.value, other.value, flags=_FREE))

    def __mul__(self, other: Lanes | float) -> Lanes:
        if not isinstance(other, Lanes):
            other = Lanes(self.builder, ir.Constant(_LANES, [float(other)] * WIDTH))
        return Lanes(self.builder, self.builder.fmul(self.value, other.value, flags=_FREE))

    def __neg__(self) -> Lanes:
        return Lanes(self.builder, self.builder.fneg(self.value))

    def mixed(self, other: Lanes, order: list[int]) -> Lanes:
        """Lanes of the two, those of `other` being counted from 8, in a given order."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order)
        return Lanes(self.builder, self.builder.shuffle_vector(self.value, other.value, mask))


class Place:
    """An index."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Place | int) -> Place:
        return Place(self.builder, self.builder.add(self.value, self._value(other)))

    def __mul__(self, other: Place | int) -> Place:
        return Place(self.builder, self.builder.mul(self.value, self._value(other)))

    def _value(self, other: Place | int) -> Any:
        return other.value if isinstance(other, Place) else ir.Constant(_LONG, other)


class Total:
    """A sum that grows while a loop runs."""

    __slots__ = ("_builder", "_slot")

    def __init__(self, first: Lanes) -> None:
        self._builder = first.builder
        self._slot = cgutils.alloca_once_value(first.builder, first.value)

    def add(self, lanes: Lanes) -> None:
        self._builder.store((self.value + lanes).value, self._slot)

    @property
    def value(self) -> Lanes:
        return Lanes(self._builder, self._builder.load(self._slot))


@contextmanager
def repeated(count: Place) -> Iterator[Place]:
    """What stands inside is done so many times; its number is given, from 0."""
    with cgutils.for_range(count.builder, count.value) as loop:
        yield Place(count.builder, loop.index)


class Memory:
    """The numbers of an array: read as float32, whatever they are, and written where they are float32."""

    __slots__ = ("_builder", "_element", "_kind", "_start")

    def __init__(self, builder: Any, start: Any, kind: Any, element: Any) -> None:
        self._builder, self._start, self._kind, self._element = builder, start, kind, element

    def load(self, at: Place) -> Lanes:
        """Eight of them from a place on."""
        b = self._builder
        raw = b.load(self._at(at, WIDTH), align=self._size)
        if isinstance(self._kind, types.Integer):
            signed = bool(getattr(self._kind, "signed", True))
            raw = (b.sitofp if signed else b.uitofp)(raw, _LANES)
        elif self._kind.bitwidth == 64:
            raw = b.fptrunc(raw, _LANES)
        return Lanes(b, raw)

    def constant(self, at: Place) -> Lanes:
        """One of them in all lanes; it must not change while the loop runs."""
        b = self._builder
        one = b.load(b.gep(self._start, [at.value]))
        one.set_metadata("invariant.load", b.module.add_metadata([]))
        return _spread(b, one)

    def expect(self, at: Place) -> None:
        """Bring what lies at a place, even beyond the end, into the cache: it will be read soon."""
        b = self._builder
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        place = b.bitcast(b.gep(self._start, [at.value]), byte)
        b.call(prefetch, [place, *(ir.Constant(number, n) for n in (0, 3, 1))])

    def store(self, at: Place, lanes: Lanes) -> None:
        """Write eight of them from a place on."""
        self._builder.store(lanes.value, self._at(at, WIDTH), align=self._size)

    @property
    def _size(self) -> int:
        return max(int(self._kind.bitwidth) // 8, 1)

    def _at(self, at: Place, count: int) -> Any:
        b = self._builder
        kind = ir.VectorType(self._element, count).as_pointer()
        return b.bitcast(b.gep(self._start, [at.value]), kind)


def transposed(rows: list[Lanes]) -> list[Lanes]:
    """Eight times eight numbers, rows and columns exchanged."""
    for step in (1, 2, 4):
        low = [i // step % 2 * 8 + i - i // step % 2 * step for i in range(8)]
        high = [i + step if i // step % 2 == 0 else 8 + i for i in range(8)]
        out = list(rows)
        for i in range(8):
            if i // step % 2 == 0:
                out[i] = rows[i].mixed(rows[i + step], low)
                out[i + step] = rows[i].mixed(rows[i + step], high)
        rows = out
    return rows


def _wrapped(target: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        if kind.layout != "C":
            raise TypeError(f"{kind} is not contiguous.")
        memory = target.make_array(kind)(target, builder, value).data
        return Memory(builder, memory, kind.dtype, memory.type.pointee)
    if isinstance(kind, types.Integer):
        return Place(builder, value if value.type == _LONG else builder.sext(value, _LONG))
    return _spread(builder, value if kind.bitwidth == 32 else builder.fptrunc(value, _FLOAT))


def _spread(builder: Any, number: Any) -> Lanes:
    empty = ir.Constant(_LANES, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return Lanes(builder, builder.shuffle_vector(first, empty, order))
