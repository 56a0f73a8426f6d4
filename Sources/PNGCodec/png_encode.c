#include "png_codec.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int png_codec_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char message[PNG_CODEC_MESSAGE]) {
  png_image image;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  /* Upper bound on the size after deflate. */
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  uint8_t *memory = malloc(size);
  if (memory == NULL) {
    snprintf(message, PNG_CODEC_MESSAGE, "not enough memory");
    return 1;
  }
  if (!png_image_write_to_memory(&image, memory, &size, 0, pixels, 0, NULL)) {
    snprintf(message, PNG_CODEC_MESSAGE, "%s", image.message);
    free(memory);
    return 1;
  }
  *bytes = memory;
  *count = size;
  return 0;
}
