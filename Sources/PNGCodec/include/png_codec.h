#pragma once
#include <stddef.h>
#include <stdint.h>

/* libpng reports errors by longjmp, which may not cross Swift: hence in C. */

/* Bytes of a message, the final zero included. */
#define PNG_CODEC_MESSAGE 256

/* Decodes a PNG to 8-bit RGB [height,width,3]: palettes and fewer bits expanded, of 16 bits the upper eight, alpha and tRNS
   dropped, gamma and colour profiles not applied.
   pixels has room for height*width*3 bytes, and the image must be of that size. A file that ends behind its image data is taken.
   Returns 0, or 1 with what is wrong in message. */
int png_codec_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, uint32_t width, uint32_t height, char message[PNG_CODEC_MESSAGE]);

/* Encodes 8-bit RGB [height,width,3] as a PNG, in memory for the caller to free.
   Returns 0 with bytes and count set, or 1 with what is wrong in message. */
int png_codec_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char message[PNG_CODEC_MESSAGE]);
