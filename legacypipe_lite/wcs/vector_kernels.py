"""Explicit vector operations for the inner steps of Lanczos resampling: eight float32 values at a time.

numba leaves short loops of constant length scalar (its SLP vectoriser is off), which makes the 49 products of a
resampled pixel several times as expensive as the processor needs them to be. Here they are written in terms of LLVM's
vectors, which it splits where the processor has narrower ones. Sums are made in a fixed order, products are fused with
the sums that they go into where the processor can do so, as in the scalar kernels with fastmath "contract".

With interpreted kernels (NUMBA_DISABLE_JIT=1) the same is done in NumPy.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LANES", "TAPS", "blend", "stencil_sum"]

#: Values per vector.
LANES = 8
#: Rows and columns of a Lanczos-3 stencil.
TAPS = 7

_FLOAT = ir.FloatType()
_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _blend(table, at, fraction, out, to):
    """``out[to : to + 8] = low + (high - low) * fraction`` of two adjacent rows of a flat table of eight columns.

    Parameters
    ----------
    table, out : float32, 1-d
    at : uintp
        Start of the lower row; the higher one follows it.
    fraction : float32
    to : uintp
    """
    at, to = int(at), int(to)
    low, high = table[at : at + LANES], table[at + LANES : at + 2 * LANES]
    out[to : to + LANES] = low + (high - low) * fraction


def _stencil_sum(image, at, width, wx, wy, first):
    """Weighted sum of 7 x 7 pixels, columns first.

    Parameters
    ----------
    image : float32, 1-d
        Flat image.
    at : uintp
        First pixel of the first row; eight pixels from here on must exist in each row.
    width : uintp
        Pixels from row to row.
    wx, wy : float32, 1-d
        Weights of columns and rows, from index `first` on.
    first : uintp

    Returns
    -------
    float32
    """
    at, width, first = int(at), int(width), int(first)
    columns = np.zeros(TAPS, np.float32)
    for row in range(TAPS):
        start = at + row * width
        columns += wy[first + row] * image[start : start + TAPS]
    total = np.float32(0.0)
    for column in range(TAPS):
        total += columns[column] * wx[first + column]
    return total


# --- the same for the compiler


def _pointer(context, builder, array_type, array, offset):
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.gep(data, [offset])


def _load(builder, pointer):
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


def _lane(builder, vector, number):
    return builder.extract_element(vector, ir.Constant(_INDEX, number))


def _repeated(builder, value):
    empty = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _multiply_add(builder, a, b, c):
    """``a * b + c``, with a single rounding where that is no slower."""
    name = "llvm.fmuladd." + ("f32" if a.type == _FLOAT else f"v{LANES}f32")
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


@intrinsic
def _blend_compiled(typing_context, table, at, fraction, out, to):
    signature = types.void(table, types.uintp, types.float32, out, types.uintp)

    def generate(context, builder, signature, arguments):
        table, at, fraction, out, to = arguments
        pointer = _pointer(context, builder, signature.args[0], table, at)
        low = _load(builder, pointer)
        high = _load(builder, builder.gep(pointer, [ir.Constant(at.type, LANES)]))
        result = _multiply_add(builder, builder.fsub(high, low), _repeated(builder, fraction), low)
        target = _pointer(context, builder, signature.args[3], out, to)
        builder.store(result, builder.bitcast(target, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _stencil_sum_compiled(typing_context, image, at, width, wx, wy, first):
    signature = types.float32(image, types.uintp, types.uintp, wx, wy, types.uintp)

    def generate(context, builder, signature, arguments):
        image, at, width, wx, wy, first = arguments
        pixel = _pointer(context, builder, signature.args[0], image, at)
        along_x = _pointer(context, builder, signature.args[3], wx, first)
        along_y = _pointer(context, builder, signature.args[4], wy, first)

        def weight(pointer, number):
            return builder.load(builder.gep(pointer, [ir.Constant(at.type, number)]))

        columns = None
        for row in range(TAPS):
            factor, values = _repeated(builder, weight(along_y, row)), _load(builder, pixel)
            columns = (
                builder.fmul(factor, values) if columns is None else _multiply_add(builder, factor, values, columns)
            )
            pixel = builder.gep(pixel, [width])
        # The second product is the rounded one; so it was in the kernels before.
        total = builder.fmul(_lane(builder, columns, 1), weight(along_x, 1))
        for column in (0, *range(2, TAPS)):
            total = _multiply_add(builder, _lane(builder, columns, column), weight(along_x, column), total)
        return total

    return signature, generate


blend = _blend if config.DISABLE_JIT else _blend_compiled  # type: ignore[attr-defined]  # set from the environment
stencil_sum = _stencil_sum if config.DISABLE_JIT else _stencil_sum_compiled  # type: ignore[attr-defined]
