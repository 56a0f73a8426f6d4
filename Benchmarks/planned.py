"""Repeats the program's choice of tiles for matrix products on a GPU: the built-in one of GEMMTiling.swift, without tuning."""

import dataclasses
import math

# Rows, columns and depth of a tile, rows and columns of a work-item, efficiency: as in GEMMTiling.tiles.
TILES = ((128, 128, 8, 8, 8, 1), (128, 64, 8, 8, 8, 0.9), (64, 128, 8, 8, 8, 0.9), (64, 64, 8, 4, 8, 0.75), (128, 32, 8, 8, 4, 0.65),
         (64, 32, 16, 4, 4, 0.55), (32, 64, 16, 4, 4, 0.55), (32, 32, 16, 4, 4, 0.45), (128, 16, 8, 4, 4, 0.4), (32, 32, 16, 4, 8, 0.4))
LARGEST_GROUP, LOCAL_BYTES, TILE_REGISTERS = 1024, 48 << 10, 120


@dataclasses.dataclass(frozen=True)
class Plan:
    rows: int          # of a tile, as columns, depth and the two of a work-item are
    columns: int
    depth: int
    item_rows: int
    item_columns: int
    per_word: int      # factors in a word of local memory
    splits: int
    groups: int        # of one split

    @property
    def items(self):
        return self.rows // self.item_rows * (self.columns // self.item_columns)

    @property
    def local_bytes(self):
        return 2 * self.depth // self.per_word * (self.rows + self.columns + 16) * 4


def suits(plan, factors, input_width):
    """Returns whether the kernel has such a tile for the factors, and the device room for it."""
    if plan.items % 32 or plan.items > LARGEST_GROUP or plan.local_bytes > LOCAL_BYTES:
        return False
    if factors != "fp32":
        return plan.item_columns == 8 and plan.rows % (8 * plan.item_rows) == 0 and plan.columns % 32 == 0
    loads = plan.rows * plan.depth // input_width // plan.items
    return plan.item_rows * plan.item_columns + loads * (8 if input_width == 1 else 24) <= TILE_REGISTERS


def choose(rows, columns, depth, factors, input_width, units):
    """Returns the plan of a product [rows, depth]·[depth, columns] with the lowest cost, as GEMMTiling.cost computes it."""
    per_word = 2 if factors == "16 bit" else 1
    best = None
    for m, n, k, item_rows, item_columns, efficiency in TILES:
        k = k if factors == "fp32" else 16 * per_word
        groups, slices = math.ceil(rows / m) * math.ceil(columns / n), math.ceil(depth / k)
        plan = Plan(m, n, k, item_rows, item_columns, per_word, 1, groups)
        if not suits(plan, factors, input_width):
            continue
        wanted = (1, *(count * units // groups for count in range(1, 5)))
        for splits in sorted({max(1, min(number, slices // 4)) for number in wanted}):
            terms = math.ceil(slices / splits) * k
            cost = math.ceil(groups * splits / units) * m * n * terms / efficiency
            cost += 0 if splits == 1 else splits * rows * columns * 32 / units + 400_000
            if best is None or cost < best[0]:
                best = (cost, dataclasses.replace(plan, splits=splits))
    return best[1]


def uses_winograd(c, k, macs, factors, side, units):
    """Returns whether a 3×3 convolution of stride 1 is computed by Winograd, as BatchedWinogradTiling.pays decides."""
    return factors == "fp32" and min(c, k) >= (128 if side == 2 else 64) and macs // units >= 8_000_000
