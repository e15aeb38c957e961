/*
 * starlette_hot_reload._core: the engine and the request path, for CPython.
 *
 *   Engine    a watch, a journal and a wire, with the notes that the watcher's thread leaves
 *   Layer     the ASGI middleware; decides from the request
 *   Send      one response; decides from its head (head.c) and its first bytes (decode.c)
 *   Sequence  an awaitable that sends messages, one after the other
 *   Ready     an awaitable that is done
 *
 * Limited API of CPython 3.10. Functions that return PyObject * return a new reference, or NULL
 * with an exception set, unless they say otherwise.
 */
#ifndef CORE_H
#define CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hotreload.h"

#define CORE_STRING_MAP(X)                                                                         \
    X(app, "app")                                                                                  \
    X(body, "body")                                                                                \
    X(extensions, "extensions")                                                                    \
    X(headers, "headers")                                                                          \
    X(http, "http")                                                                                \
    X(http_response_body, "http.response.body")                                                    \
    X(http_response_pathsend, "http.response.pathsend")                                            \
    X(http_response_start, "http.response.start")                                                  \
    X(http_response_trailers, "http.response.trailers")                                            \
    X(http_response_zerocopysend, "http.response.zerocopysend")                                    \
    X(lifespan, "lifespan")                                                                        \
    X(mark, "starlette_hot_reload")                                                                \
    X(method, "method")                                                                            \
    X(more_body, "more_body")                                                                      \
    X(path, "path")                                                                                \
    X(root_path, "root_path")                                                                      \
    X(status, "status")                                                                            \
    X(throw_, "throw")                                                                             \
    X(trailers, "trailers")                                                                        \
    X(type, "type")

typedef struct core_state {
    PyTypeObject *engine_type;
    PyTypeObject *layer_type;
    PyTypeObject *ready_type;
    PyTypeObject *send_type;
    PyTypeObject *sequence_type;
    PyTypeObject *stats_type;
    PyObject *coroutine_type; /* types.CoroutineType, which the limited API does not name */
    PyObject *ready;          /* the only instance */
    PyObject *no_cache;       /* (b"cache-control", b"no-cache") */
    PyObject *vary;           /* (b"vary", b"Sec-Fetch-Dest") */
    PyObject *identity;       /* b"identity" */
#define CORE_STRING_FIELD(name, text) PyObject *str_##name;
    CORE_STRING_MAP(CORE_STRING_FIELD)
#undef CORE_STRING_FIELD
} core_state;

/* The types cannot be subclassed, so that the type of an object is the one made for its module. */
static inline core_state *core_state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

extern PyType_Spec core_engine_spec;
extern PyType_Spec core_layer_spec;
extern PyType_Spec core_ready_spec;
extern PyType_Spec core_send_spec;
extern PyType_Spec core_sequence_spec;
extern PyStructSequence_Desc core_stats_desc;

/* Values. */

/* Puts `value`, whose reference is stolen, in place of what `slot` holds. */
static inline void core_set(PyObject **slot, PyObject *value)
{
    PyObject *old = *slot;
    *slot = value;
    Py_XDECREF(old);
}

/* A dict's item, borrowed; NULL without an exception if it has none. */
static inline PyObject *core_get(PyObject *dict, PyObject *key)
{
    PyObject *item = PyDict_GetItemWithError(dict, key);
    if (!item && PyErr_Occurred())
        PyErr_Clear();
    return item;
}

/* In the limited API every check of a type is a call, and so is every size. Most objects that come
 * here are exactly of the type that is looked for: that and Py_SIZE() take no call. */

static inline bool core_is_dict(PyObject *object)
{
    return Py_IS_TYPE(object, &PyDict_Type) || PyDict_Check(object);
}

static inline bool core_is_bytes(PyObject *object)
{
    return Py_IS_TYPE(object, &PyBytes_Type) || PyBytes_Check(object);
}

static inline bool core_is_text(PyObject *object)
{
    return Py_IS_TYPE(object, &PyUnicode_Type) || PyUnicode_Check(object);
}

/* Are these two strings equal? Interned ones cost a comparison of pointers. */
static inline bool core_equal(PyObject *text, PyObject *interned)
{
    return text == interned ||
           (text && core_is_text(text) && PyUnicode_Compare(text, interned) == 0);
}

/* Lends the bytes of what is known to be a bytes object. */
static inline hr_bytes core_bytes_of(PyObject *bytes)
{
    return (hr_bytes){PyBytes_AsString(bytes), (size_t)Py_SIZE(bytes)};
}

/* Lends the bytes of a bytes object. false, without an exception, for anything else. */
static inline bool core_bytes(PyObject *object, hr_bytes *out)
{
    if (!object || !core_is_bytes(object))
        return false;
    *out = core_bytes_of(object);
    return true;
}

/* The same with the UTF-8 of a str. */
bool core_text(PyObject *object, hr_bytes *out);

/* Sets the exception for a status, and returns NULL. `subject` may be NULL. */
PyObject *core_raise(hr_status status, PyObject *subject);

/* Raises what throw(type[, value[, traceback]]) was given, as a coroutine that has not begun does.
 */
PyObject *core_throw(PyObject *args);

/* Headers. */

/* A list or tuple of (name, value). Nothing may run between open and the last item. */
typedef struct core_headers {
    PyObject *object; /* borrowed; NULL: there are none */
    Py_ssize_t size;
    bool is_list;
} core_headers;

/* `object` may be NULL. false, without an exception: not a list or a tuple. */
static inline bool core_headers_open(PyObject *object, core_headers *out)
{
    *out = (core_headers){0};
    if (!object)
        return true;
    bool is_list = Py_IS_TYPE(object, &PyList_Type) || PyList_Check(object);
    if (!is_list && !PyTuple_Check(object))
        return false;
    *out = (core_headers){object, Py_SIZE(object), is_list};
    return true;
}

/* A new list of the same headers; `object` may be NULL. */
PyObject *core_headers_list(PyObject *object);

/* An item of a pair, borrowed; NULL without an exception if `pair` is none. */
static inline PyObject *core_pair_item(PyObject *pair, Py_ssize_t index)
{
    if (Py_IS_TYPE(pair, &PyTuple_Type) || PyTuple_Check(pair))
        return Py_SIZE(pair) == 2 ? PyTuple_GetItem(pair, index) : NULL;
    return PyList_Check(pair) && Py_SIZE(pair) == 2 ? PyList_GetItem(pair, index) : NULL;
}

/* The pair at `index`, borrowed, with the bytes of its name lent; NULL without an exception if it
 * is not a pair that begins with bytes. */
static inline PyObject *core_headers_at(const core_headers *headers, Py_ssize_t index,
                                        hr_bytes *name)
{
    PyObject *pair = headers->is_list ? PyList_GetItem(headers->object, index)
                                      : PyTuple_GetItem(headers->object, index);
    return core_bytes(core_pair_item(pair, 0), name) ? pair : NULL;
}

/* Is a name of this size one of those in `names`, as bits? */
static inline bool core_is_among(size_t size, uint32_t names)
{
    return size < 32 && names >> size & 1;
}

/* The bytes of a pair's value. false, without an exception: it has none. */
static inline bool core_headers_value(PyObject *pair, hr_bytes *value)
{
    return core_bytes(core_pair_item(pair, 1), value);
}

/* Notes. */

/* What the watcher's thread has to say, until Python comes to fetch it. Safe for any thread; knows
 * nothing of Python. */
typedef struct core_notes core_notes;

typedef struct core_note {
    struct core_note *next;
    hr_level level;
    char text[]; /* UTF-8, terminated */
} core_note;

core_notes *core_notes_new(void); /* NULL: no memory */
void core_notes_free(core_notes *notes);

/* Keeps a copy of `text`; what finds no room is counted. */
void core_notes_add(core_notes *notes, hr_level level, const char *text);

/* The notes so far, oldest first; each to be freed by free(). `lost`: how many found no room. */
core_note *core_notes_take(core_notes *notes, size_t *lost);

/* Leaves a note on a batch. */
void core_notes_batch(core_notes *notes, const hr_batch *batch);

/* History. */

/* The last batches, until Python comes to fetch them. Safe for any thread; knows nothing of Python.
 */
typedef struct core_history core_history;

typedef struct core_past {
    struct core_past *next;
    hr_batch batch;      /* its first changes */
    size_t count;        /* of all of them */
    hr_change changes[]; /* and then their paths */
} core_past;

core_history *core_history_new(void); /* NULL: no memory */
void core_history_free(core_history *history);

/* Keeps a copy, in place of the oldest if there are many; nothing without memory. */
void core_history_add(core_history *history, const hr_batch *batch);

/* The batches so far, oldest first; each to be freed by free(). */
core_past *core_history_take(core_history *history);

/* Messages (head.c). */

/* A copy of a message with one entry replaced. Steals `value`, which may be NULL after an error. */
PyObject *core_with_entry(PyObject *message, PyObject *key, PyObject *value);

/* A copy of a body message, or a new one if it is NULL, with another body and more to come. Steals
 * `body`, which may be NULL after an error. */
PyObject *core_body_message(core_state *state, PyObject *message, PyObject *body);

/* Tells `response` the status and the headers of a start. `has_policy`: whether one of them is a
 * Content-Security-Policy. false, without an exception: the start is not made as it should be. */
bool core_head_read(core_state *state, PyObject *start, const hr_request *request,
                    hr_response *response, bool *has_policy);

/* What becomes of Content-Length where there is one. */
typedef struct core_length {
    enum { CORE_LENGTH_UNKNOWN, CORE_LENGTH_GROWS, CORE_LENGTH_IS } kind;
    uint64_t bytes;
} core_length;

/* The start of an injected page. `headers`: what the response has instead of its own, or NULL. */
PyObject *core_head_injected(core_state *state, PyObject *start, PyObject *headers,
                             const hr_response *response, core_length length);

/* Any other start, with what it lacks: see hr_response_lacks(). */
PyObject *core_head_completed(core_state *state, PyObject *start, unsigned lacks);

/* The trailers of an injected page. */
PyObject *core_head_trailers(core_state *state, PyObject *message, const hr_response *response);

typedef struct core_policies {
    PyObject *headers;  /* all headers, as a list, with policies that let the client run; NULL: they
                           do as they are */
    PyObject *nonce;    /* bytes, for the tag */
    bool no_worker;     /* for the tag */
    const char *reason; /* why the client cannot run all the same, or NULL. Static. */
} core_policies;

/* What the policies of a start have to become. `asked`: the headers of the request. false: there is
 * no memory, or no random bits for a nonce; perhaps with an exception. */
bool core_head_policies(core_state *state, PyObject *start, PyObject *asked, hr_bytes events_path,
                        core_policies *out);

/* Decoding (decode.c). */

typedef struct core_decoder {
    hr_coding coding;   /* HR_CODING_NONE: there is nothing to decode */
    PyObject *inflater; /* zlib's, or NULL between two streams */
    PyObject *held;     /* a byte too few to tell by, or NULL */
    unsigned members;   /* streams that are over */
    bool ended;
} core_decoder;

void core_decoder_init(core_decoder *decoder, hr_coding coding);
void core_decoder_fini(core_decoder *decoder);

/* The bytes that `chunk`, a bytes object, adds. An exception: it is not coded so. */
PyObject *core_decode(core_decoder *decoder, PyObject *chunk);

/* Between the types. */

/* The cursor of this moment. `engine` is an Engine. */
hr_cursor core_engine_now(PyObject *engine);

/* The percent-encoded events path of a request; lent until the next call. Of size 0: no memory. */
hr_bytes core_layer_events(PyObject *layer, PyObject *scope);

/* The tag of its page, with some cursor; lent until the next call, or by `own`, an empty buffer of
 * the caller's. Of size 0: no memory. */
hr_bytes core_layer_tag(PyObject *layer, PyObject *scope, hr_bytes nonce, bool no_worker,
                        hr_buffer *own);

/* Whether nothing but a server sees what the layer sends. */
bool core_layer_is_outermost(PyObject *layer);

/* Tells the person, once, why a response to this request has no tag. Raises nothing. */
void core_layer_warn(PyObject *layer, PyObject *scope, const char *reason);

/* The same of the headers that a response went out with, because of its policies. */
void core_layer_note_policies(PyObject *layer, PyObject *scope, PyObject *headers);

/* The ASGI send for one response. `scope`: of the request of what may be a page; NULL: it is none,
 * but may lack something (see hr_response_lacks()). */
PyObject *core_send_new(core_state *state, PyObject *layer, PyObject *inner, PyObject *scope,
                        const hr_request *request, hr_cursor cursor);

/* Has nothing to send yet. */
PyObject *core_sequence_new(core_state *state, PyObject *inner);

/* Will call inner(first), await that, then inner(second), and so on. `third` may be NULL. Once, and
 * before it is awaited; it cannot fail. */
void core_sequence_fill(PyObject *self, PyObject *first, PyObject *second, PyObject *third);

#endif
