/* TIFF file in memory, with its header and the messages about it. */
#include "tiff_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tmsize_t read_bytes(thandle_t handle, void *destination, tmsize_t count) {
  tiff_codec *codec = handle;
  if (codec->place >= codec->count) return 0;
  size_t left = codec->count - codec->place;
  size_t given = (size_t)count < left ? (size_t)count : left;
  memcpy(destination, codec->bytes + codec->place, given);
  codec->place += given;
  return (tmsize_t)given;
}

static tmsize_t write_bytes(thandle_t handle, void *source, tmsize_t count) {
  (void)handle, (void)source, (void)count;
  return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int from) {
  tiff_codec *codec = handle;
  /* Backward offsets are large numbers, so that sums wrap around to the correct place. */
  uint64_t base = from == SEEK_CUR ? codec->place : from == SEEK_END ? codec->count : 0;
  codec->place = base + offset;
  return codec->place;
}

static int close_nothing(thandle_t handle) {
  (void)handle;
  return 0;
}

static toff_t size(thandle_t handle) { return ((tiff_codec *)handle)->count; }

/* Keeps the first error, as it causes those that follow. */
static int note(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  (void)tiff, (void)module;
  tiff_codec *codec = data;
  if (codec->error[0] == 0) vsnprintf(codec->error, sizeof codec->error, format, arguments);
  return 1;
}

/* Ignores warnings, which concern data that the image does not need. Warnings of libjpeg are kept as errors: it makes up pixels
   where data are damaged. */
static int warn(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  if (module != NULL && strcmp(module, "JPEGLib") == 0) note(tiff, data, module, format, arguments);
  return 1;
}

tiff_codec *tiff_codec_open(const uint8_t *bytes, size_t count, char message[TIFF_CODEC_MESSAGE]) {
  snprintf(message, TIFF_CODEC_MESSAGE, "not enough memory");
  tiff_codec *codec = calloc(1, sizeof *codec);
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  if (codec != NULL && options != NULL) {
    codec->bytes = bytes;
    codec->count = count;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, TIFF_CODEC_MOST_BYTES);
    TIFFOpenOptionsSetErrorHandlerExtR(options, note, codec);
    TIFFOpenOptionsSetWarningHandlerExtR(options, warn, codec);
    /* The file is read, not mapped. */
    codec->tiff = TIFFClientOpenExt(
        "image", "rm", codec, read_bytes, write_bytes, seek, close_nothing, size, NULL, NULL, options);
    if (codec->tiff == NULL) snprintf(message, TIFF_CODEC_MESSAGE, "%s", codec->error);
  }
  if (options != NULL) TIFFOpenOptionsFree(options);
  if (codec == NULL || codec->tiff == NULL) {
    free(codec);
    return NULL;
  }
  return codec;
}

void tiff_codec_read_header(tiff_codec *codec, struct tiff_codec_header *header) {
  memset(header, 0, sizeof *header);
  void *packet = NULL;
  TIFFGetField(codec->tiff, TIFFTAG_IMAGEWIDTH, &header->width);
  TIFFGetField(codec->tiff, TIFFTAG_IMAGELENGTH, &header->height);
  TIFFGetField(codec->tiff, TIFFTAG_ORIENTATION, &header->orientation);
  if (TIFFGetField(codec->tiff, TIFFTAG_XMLPACKET, &header->xmp_count, &packet)) header->xmp = packet;
}

void tiff_codec_close(tiff_codec *codec) {
  TIFFClose(codec->tiff);
  free(codec);
}
