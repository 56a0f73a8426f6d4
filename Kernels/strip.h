// A strip of an image's rows in local memory, in float32, with the zeros of its border. Needs vector.h.

// strip [rows][columns][pitch] = the first C channels of every sample-th pixel of rows h0 … and columns w0 … of an image [H,W,depth],
// zero outside it. What lies between C and the pitch is left alone.
void pack(__global const real *image, __local float *strip, int h0, int rows, int w0, int columns, int H, int W, int depth, int C,
          int pitch, int sample) {
  for (int i = 0; i < rows; i++) {
    const int h = h0 + i * sample;
    const int isRow = h >= 0 && h < H;
    __local float *to = strip + i * columns * pitch;
    __global const real *from = image + (long)h * W * depth;
    if (isRow && sample == 1 && pitch == C && depth == C) {
      // The row in one piece, between `left` and `right` zeros before and behind.
      const int left = clamp(-w0, 0, columns) * C, right = clamp(W - w0, 0, columns) * C;
      for (int j = 0; j < left; j++) to[j] = 0.0f;
      int j = left;
      for (; j + 16 <= right; j += 16) vstore16(LOAD_REAL16(from + (long)w0 * C + j), 0, to + j);
      for (; j < right; j++) to[j] = READ_REAL(from + (long)w0 * C + j);
      for (; j < columns * C; j++) to[j] = 0.0f;
      continue;
    }
    for (int j = 0; j < columns; j++) {
      const int w = w0 + j * sample;
      const int isPixel = isRow && w >= 0 && w < W;
      __local float *pixel = to + j * pitch;
      int c = 0;
      if (isPixel) {
        __global const real *source = from + (long)w * depth;
        for (; c + 16 <= C; c += 16) vstore16(LOAD_REAL16(source + c), 0, pixel + c);
        for (; c < C; c++) pixel[c] = READ_REAL(source + c);
      } else {
        for (; c < C; c++) pixel[c] = 0.0f;
      }
    }
  }
}
