#include "png_codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
  const uint8_t *next;
  size_t left;
  /* Whether more bytes were requested than there are. */
  int ended;
};

static void read_bytes(png_structp png, png_bytep destination, size_t count) {
  struct source *source = png_get_io_ptr(png);
  if (count > source->left) {
    source->ended = 1;
    png_error(png, "the file ends early");
  }
  memcpy(destination, source->next, count);
  source->next += count;
  source->left -= count;
}

static void fail(png_structp png, png_const_charp reason) {
  snprintf(png_get_error_ptr(png), PNG_CODEC_MESSAGE, "%s", reason);
  png_longjmp(png, 1);
}

/* Ignores warnings: they concern data that the image does not need. */
static void ignore(png_structp png, png_const_charp reason) {
  (void)png;
  (void)reason;
}

/* Whether all pixels have been written. libpng counts a row, and the pass that it ends, once it has written them. */
static int is_whole(png_const_structp png, png_const_infop info, uint32_t height) {
  if (png_get_interlace_type(png, info) == PNG_INTERLACE_NONE) return png_get_current_row_number(png) >= height;
  return png_get_current_pass_number(png) >= PNG_INTERLACE_ADAM7_PASSES;
}

static int decode(
    struct source *source, uint8_t *pixels, uint32_t width, uint32_t height, char message[PNG_CODEC_MESSAGE]) {
  snprintf(message, PNG_CODEC_MESSAGE, "not enough memory");
  /* Volatile, because they are assigned between setjmp and longjmp. */
  png_structp volatile png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, fail, ignore);
  png_infop volatile info = NULL;
  png_bytepp volatile rows = NULL;
  int volatile status = 1;
  if (png == NULL) return status;

  if (setjmp(png_jmpbuf(png)) == 0) {
    info = png_create_info_struct(png);
    rows = malloc(height * sizeof *rows);
    if (info == NULL || rows == NULL) png_error(png, "not enough memory");
    png_set_read_fn(png, source, read_bytes);
    png_set_user_limits(png, width, height);
    /* Limits for text and profiles, which inflate and are not needed here. */
    png_set_chunk_malloc_max(png, 8 << 20);
    png_set_chunk_cache_max(png, 128);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png, info);
    if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height) {
      png_error(png, "its header contradicts itself");
    }
    png_set_strip_16(png);
    png_set_packing(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)width * 3) png_error(png, "its pixels do not become RGB");
    for (uint32_t h = 0; h < height; h++) rows[h] = pixels + (size_t)h * width * 3;
    png_read_image(png, rows);
    png_read_end(png, NULL);
    status = 0;
  } else if (source->ended && info != NULL && is_whole(png, info, height)) {
    /* Only data after the pixels are missing. */
    status = 0;
  }
  free(rows);
  png_infop described = info;
  png_structp reader = png;
  png_destroy_read_struct(&reader, &described, NULL);
  return status;
}

int png_codec_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, uint32_t width, uint32_t height, char message[PNG_CODEC_MESSAGE]) {
  struct source source = {bytes, count, 0};
  return decode(&source, pixels, width, height, message);
}
