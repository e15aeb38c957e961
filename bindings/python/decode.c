/*
 * A coded body, decoded piece by piece by CPython's own zlib. RFC 9110 8.4.1: "gzip" is RFC 1952,
 * one member after the other; "deflate" is RFC 1950, but some servers send the bare RFC 1951.
 */
#include <string.h>

#include "core.h"

enum { WINDOW_BITS = 15, GZIP = 16, GZIP_ID1 = 0x1f };

void core_decoder_init(core_decoder *decoder, hr_coding coding)
{
    *decoder = (core_decoder){.coding = coding};
}

void core_decoder_fini(core_decoder *decoder)
{
    Py_CLEAR(decoder->inflater);
    Py_CLEAR(decoder->held);
    decoder->coding = HR_CODING_NONE;
}

static PyObject *make_inflater(int window_bits)
{
    PyObject *zlib = PyImport_ImportModule("zlib");
    PyObject *inflater = zlib ? PyObject_CallMethod(zlib, "decompressobj", "i", window_bits) : NULL;
    Py_XDECREF(zlib);
    return inflater;
}

/* RFC 1950 2.2: the method is 8, and both bytes together are a multiple of 31. */
static bool has_zlib_header(hr_bytes data)
{
    unsigned first = (unsigned char)data.data[0];
    unsigned second = (unsigned char)data.data[1];
    return (first & 15) == 8 && (first << 8 | second) % 31 == 0;
}

/* At the first bytes of a stream. false: an exception. */
static bool begin(core_decoder *decoder, PyObject *data)
{
    const hr_bytes bytes = core_bytes_of(data);
    int window_bits = WINDOW_BITS + GZIP;
    if (decoder->coding == HR_CODING_DEFLATE) {
        if (bytes.size < 2) {
            decoder->held = Py_NewRef(data);
            return true;
        }
        window_bits = has_zlib_header(bytes) ? WINDOW_BITS : -WINDOW_BITS;
    } else if (decoder->members && (unsigned char)bytes.data[0] != GZIP_ID1) {
        decoder->ended = true; /* padding */
        return true;
    }
    decoder->inflater = make_inflater(window_bits);
    return decoder->inflater;
}

/* 1: the stream is over, and `rest` what follows it; 0: it goes on; -1: an exception. */
static int take_end(core_decoder *decoder, PyObject **rest)
{
    PyObject *eof = PyObject_GetAttrString(decoder->inflater, "eof");
    int over = eof ? PyObject_IsTrue(eof) : -1;
    Py_XDECREF(eof);
    if (over <= 0)
        return over;
    *rest = PyObject_GetAttrString(decoder->inflater, "unused_data");
    if (!*rest)
        return -1;
    Py_CLEAR(decoder->inflater);
    decoder->members++;
    decoder->ended = decoder->coding != HR_CODING_GZIP;
    return 1;
}

/* zlib's own want of memory, Z_MEM_ERROR, comes as a zlib.error that says so by its number only. */
static void name_memory_error(void)
{
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_MemoryError))
        return;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *words = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    bool is_memory = !words || strncmp(words, "Error -4 ", 9) == 0;
    PyErr_Clear();
    Py_XDECREF(text);
    PyErr_Restore(type, value, traceback);
    if (is_memory)
        PyErr_NoMemory();
}

/* Decodes up to the end of `*data`, or of a stream in it; then `*data` is what follows, or NULL. */
static PyObject *decode_stream(core_decoder *decoder, PyObject **data)
{
    PyObject *rest = NULL;
    PyObject *piece = NULL;
    if (!decoder->inflater && !begin(decoder, *data))
        return NULL;
    if (!decoder->inflater)
        piece = PyBytes_FromStringAndSize(NULL, 0);
    else
        piece = PyObject_CallMethod(decoder->inflater, "decompress", "O", *data);
    if (!piece)
        name_memory_error();
    if (piece && decoder->inflater && take_end(decoder, &rest) < 0)
        Py_CLEAR(piece);
    core_set(data, rest);
    return piece;
}

/* Steals both; NULL after an error in either. */
static PyObject *concatenate(PyObject *first, PyObject *second)
{
    PyObject *both = first && second ? PySequence_Concat(first, second) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return both;
}

static bool is_empty(PyObject *data)
{
    return !data || PyBytes_Size(data) == 0;
}

PyObject *core_decode(core_decoder *decoder, PyObject *chunk)
{
    PyObject *data = Py_NewRef(chunk);
    PyObject *decoded = PyBytes_FromStringAndSize(NULL, 0);
    if (decoder->held && !is_empty(data)) {
        data = concatenate(decoder->held, data);
        decoder->held = NULL;
    }
    while (decoded && !is_empty(data) && !decoder->ended) {
        PyObject *piece = decode_stream(decoder, &data);
        decoded = concatenate(decoded, piece);
    }
    if (PyErr_Occurred())
        Py_CLEAR(decoded);
    Py_XDECREF(data);
    return decoded;
}
