#pragma once
#include <stddef.h>
#include <stdint.h>

/* This codec is written in C because libpng reports errors by longjmp, which may not cross Swift. */

/* Number of bytes of a message, including the final zero. */
#define PNG_CODEC_MESSAGE 256

/* Decodes a PNG to 8-bit RGB [height,width,3]. Palettes and fewer bits are expanded. Of 16 bits the upper eight are kept. Alpha
   and tRNS are dropped. Gamma and color profiles are not applied.
   pixels has room for height*width*3 bytes, and the image must have that size. A file that ends after its image data is accepted.
   Returns 0, or 1 with the reason in message. */
int png_codec_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, uint32_t width, uint32_t height, char message[PNG_CODEC_MESSAGE]);

/* Encodes 8-bit RGB [height,width,3] as a PNG in memory, which the caller must free.
   Returns 0 with bytes and count set, or 1 with the reason in message. */
int png_codec_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char message[PNG_CODEC_MESSAGE]);
