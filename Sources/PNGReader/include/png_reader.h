#pragma once
#include <stddef.h>
#include <stdint.h>

/* Bytes of a message, the final zero included. */
#define PNG_READER_MESSAGE 256

/* Decodes a PNG to 8-bit RGB [height,width,3]: palettes and fewer bits expanded, of 16 bits the upper eight, alpha and tRNS
   dropped, gamma and colour profiles not applied. libpng reports errors by longjmp, which may not cross Swift: hence in C.
   pixels has room for height*width*3 bytes, and the image must be of that size.
   Returns 0, or 1 with what is wrong in message. */
int png_reader_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, uint32_t width, uint32_t height, char message[PNG_READER_MESSAGE]);
