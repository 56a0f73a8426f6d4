#pragma once
#include <stddef.h>
#include <stdint.h>

/* This codec is written in C because libtiff returns tags through variable arguments, which Swift cannot call. */

/* Number of bytes of a message, including the final zero. */
#define TIFF_CODEC_MESSAGE 256

/* TIFF file in memory, positioned at its first image. */
typedef struct tiff_codec tiff_codec;

/* Header of a file's first image. */
struct tiff_codec_header {
  uint32_t width, height;
  /* Tag 274; 0 if there is none. */
  uint16_t orientation;
  /* XMP packet, valid as long as the file is open; NULL if there is none. */
  const uint8_t *xmp;
  uint32_t xmp_count;
};

/* Opens a file. Its bytes must stay where they are until it is closed.
   Returns NULL on failure, with the reason in message. */
tiff_codec *tiff_codec_open(const uint8_t *bytes, size_t count, char message[TIFF_CODEC_MESSAGE]);

/* Reads the header of the file's first image. */
void tiff_codec_read_header(tiff_codec *codec, struct tiff_codec_header *header);

/* Decodes the first image, in its stored orientation, to 8-bit RGB [height,width,3]. It may be gray, RGB, a palette, CMYK or
   YCbCr of 1 to 8 bits, or of 16 bits, of which the upper eight are kept. Alpha is dropped; if it is associated, the colors are
   divided by it first. Color profiles are not applied.
   pixels has room for height*width*3 bytes.
   Returns 0, or 1 with the reason in message. */
int tiff_codec_decode(tiff_codec *codec, uint8_t *pixels, char message[TIFF_CODEC_MESSAGE]);

void tiff_codec_close(tiff_codec *codec);
