#pragma once
#include <stddef.h>
#include <stdint.h>

/* libtiff tells of tags through variable arguments, which Swift cannot call: hence in C. */

/* Bytes of a message, the final zero included. */
#define TIFF_CODEC_MESSAGE 256

/* A TIFF file in memory, at its first image. */
typedef struct tiff_codec tiff_codec;

/* A file's description of its first image. */
struct tiff_codec_header {
  uint32_t width, height;
  /* Tag 274; 0 where there is none. */
  uint16_t orientation;
  /* An XMP packet, valid as long as the file is open; NULL where there is none. */
  const uint8_t *xmp;
  uint32_t xmp_count;
};

/* Opens a file, whose bytes must stay where they are until it is closed.
   Returns NULL with what is wrong in message. */
tiff_codec *tiff_codec_open(const uint8_t *bytes, size_t count, char message[TIFF_CODEC_MESSAGE]);

/* Reads what the file says of its first image. */
void tiff_codec_read_header(tiff_codec *codec, struct tiff_codec_header *header);

/* Decodes the first image, as it is stored, to 8-bit RGB [height,width,3]: grey, RGB, palettes, CMYK and YCbCr of 1 to 8 bits, and of 16
   the upper eight; alpha dropped, of associated alpha the colors divided by it; color profiles not applied.
   pixels has room for height*width*3 bytes.
   Returns 0, or 1 with what is wrong in message. */
int tiff_codec_decode(tiff_codec *codec, uint8_t *pixels, char message[TIFF_CODEC_MESSAGE]);

void tiff_codec_close(tiff_codec *codec);
