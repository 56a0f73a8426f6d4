// Strip of an image in local memory, the input tile of a kernel: rows of the image as factors, with the zero padding of its
// border. Needs vector.h and factors.h.

// Fills run [count] with the factors of a run of terms at `source`, with zeros in place of the terms outside [first, last).
INLINE void pack_run(__global const real *source, __local factor *run, int count, int first, int last) {
  const int begin = min(count, FACTORS(first)), end = min(count, last / TERMS);
  int i = 0;
  for (; i < begin; i++) run[i] = (i + 1) * TERMS <= first ? 0 : READ_FACTOR(source, i * TERMS, first, last);
  for (; i + 16 <= end; i += 16) vstore16(LOAD_FACTOR16(source + i * TERMS), 0, run + i);
  for (; i < count; i++) run[i] = i * TERMS >= last ? 0 : READ_FACTOR(source, i * TERMS, first, last);
}

// Fills strip [rows][row] with every sample-th pixel of an image [H,W,depth], from row h0 and column w0 on: the first C channels
// of each pixel, and zeros outside the image. Pixels are `pitch` terms apart, rows are `row` factors apart. Elements between C
// and the pitch are not written.
INLINE void pack(__global const real *image, __local factor *strip, int h0, int rows, int row, int w0, int H, int W, int depth,
                 int C, int pitch, int sample) {
  for (int i = 0; i < rows; i++) {
    const int h = h0 + i * sample;
    const int isRow = h >= 0 && h < H;
    __local factor *to = strip + i * row;
    __global const real *from = image + (long)h * W * depth;
    if (sample == 1 && pitch == C && depth == C) {
      // Pack the row in one piece.
      pack_run(from + (long)w0 * C, to, row, max(0, -w0 * C), isRow ? max(0, (W - w0) * C) : 0);
      continue;
    }
    for (int j = 0; j < row * TERMS / pitch; j++) {
      const int w = w0 + j * sample;
      pack_run(from + (long)w * depth, to + j * pitch / TERMS, FACTORS(C), 0, isRow && w >= 0 && w < W ? C : 0);
    }
  }
}

#if PAIRS
// Returns VW terms from source[i] on, with zeros in place of the terms outside [first, last).
INLINE floatv terms(__global const real *source, int i, int first, int last) {
  if (i >= first && i + VW <= last) return LOAD_REAL(source + i);
  if (i + VW <= first || i >= last) return (floatv)(0.0f);
  float lanes[VW];
  for (int lane = 0; lane < VW; lane++) lanes[lane] = READ_TERM(source, i + lane, first, last);
  return LOAD(lanes);
}

// Fills strip [rows][columns][pitch]. Channel by channel, every columnStep-th pixel of a row is paired with the pixel that lies
// `distance` to its right. Otherwise this works like `pack`.
INLINE void pack_pixel_pairs(__global const real *image, __local factor *strip, int h0, int rows, int rowStep, int w0,
                             int columns, int columnStep, int distance, int H, int W, int depth, int C, int pitch) {
  // Pixels that lie side by side in both memories, and have few channels, are packed in one piece.
  const int isJoined = C < VW && pitch == C && depth == C && columnStep == 1;
  const int runs = isJoined ? 1 : columns, count = isJoined ? columns * C : C;
  for (int i = 0; i < rows; i++) {
    const int h = h0 + i * rowStep, end = h >= 0 && h < H ? W : w0 - distance;
    for (int j = 0; j < runs; j++) {
      const int w = w0 + j * columnStep, v = w + distance;
      __global const real *a = image + ((long)h * W + w) * depth, *b = a + (long)distance * depth;
      __local factor *to = strip + (i * columns + j) * pitch;
      const int a0 = -w * C, a1 = (end - w) * C, b0 = -v * C, b1 = (end - v) * C;
      int c = 0;
      for (; c + VW <= count; c += VW) STORE(pairs(terms(a, c, a0, a1), terms(b, c, b0, b1)), to + c);
      for (; c < count; c++) to[c] = pair(READ_TERM(a, c, a0, a1), READ_TERM(b, c, b0, b1));
    }
  }
}
#endif
