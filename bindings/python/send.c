#include <inttypes.h>
#include <string.h>

#include "core.h"

/* From here on one more message costs less than a copy of the body. */
enum { SEND_SPLIT = 256 << 10 };

typedef enum send_stage {
    SEND_CACHE,    /* awaits the start, to forbid caching by guess */
    SEND_START,    /* awaits the start of what may be a page */
    SEND_FIRST,    /* holds the start, awaits the first of the body */
    SEND_SEARCH,   /* the start is out, the place of the tag not found yet */
    SEND_TRAILERS, /* injected; trailers are to come */
    SEND_PASS      /* nothing left to do */
} send_stage;

typedef struct core_send {
    PyObject_HEAD core_state *state; /* lives as long as the type */
    PyObject *layer;
    PyObject *inner; /* the server's send */
    PyObject *path;  /* of the request, and its root_path; NULL if it has none */
    PyObject *root_path;
    PyObject *start; /* held, or NULL */
    PyObject *tail;  /* the end of the body so far, held, or NULL */
    PyObject *args;  /* of the call under way, borrowed */
    uint64_t sent;   /* bytes of the body that were forwarded */
    hr_cursor cursor;
    hr_request request;
    hr_response response;
    hr_inject inject;
    send_stage stage;
    bool is_head;
} core_send;

/* Life. */

PyObject *core_send_new(core_state *state, PyObject *layer, PyObject *inner, PyObject *scope,
                        const hr_request *request, hr_cursor cursor, core_aim aim)
{
    core_send *send = PyObject_GC_New(core_send, state->send_type);
    if (!send)
        return NULL;
    send->state = state;
    send->layer = Py_NewRef(layer);
    send->inner = Py_NewRef(inner);
    send->path = NULL;
    send->root_path = NULL;
    send->start = NULL;
    send->tail = NULL;
    send->args = NULL;
    send->sent = 0;
    send->cursor = cursor;
    send->request = *request;
    send->stage = aim == CORE_AIM_PAGE ? SEND_START : SEND_CACHE;
    send->is_head = false;
    if (aim == CORE_AIM_PAGE) {
        hr_bytes method;
        send->path = Py_XNewRef(core_get(scope, state->str_path));
        send->root_path = Py_XNewRef(core_get(scope, state->str_root_path));
        send->is_head = core_text(core_get(scope, state->str_method), &method) &&
                        method.size == 4 && memcmp(method.data, "HEAD", 4) == 0;
    }
    PyObject_GC_Track(send);
    return (PyObject *)send;
}

static int send_traverse(PyObject *self, visitproc visit, void *arg)
{
    core_send *send = (core_send *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(send->layer);
    Py_VISIT(send->inner);
    Py_VISIT(send->path);
    Py_VISIT(send->root_path);
    Py_VISIT(send->start);
    Py_VISIT(send->tail);
    return 0;
}

static int send_clear(PyObject *self)
{
    core_send *send = (core_send *)self;
    Py_CLEAR(send->layer);
    Py_CLEAR(send->inner);
    Py_CLEAR(send->path);
    Py_CLEAR(send->root_path);
    Py_CLEAR(send->start);
    Py_CLEAR(send->tail);
    return 0;
}

static void send_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    send_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Forwarding. */

static PyObject *forward(core_send *send, PyObject *message)
{
    if (message == PyTuple_GetItem(send->args, 0))
        return PyObject_Call(send->inner, send->args, NULL);
    return PyObject_CallFunctionObjArgs(send->inner, message, NULL);
}

/* The held start, if there is one, then `message`. */
static PyObject *forward_with(core_send *send, PyObject *start, PyObject *message)
{
    if (!start)
        return forward(send, message);
    return core_sequence_new(send->state, send->inner, start, message, NULL);
}

/* A copy of `message` with one entry replaced. Steals `value`, which may be NULL after an error. */
static PyObject *with_entry(PyObject *message, PyObject *key, PyObject *value)
{
    PyObject *copy = value ? PyDict_Copy(message) : NULL;
    if (copy && PyDict_SetItem(copy, key, value) < 0)
        Py_CLEAR(copy);
    Py_XDECREF(value);
    return copy;
}

/* Gives up: what is held goes out as it came, and so does all that follows. */
static PyObject *pass_all(core_send *send, PyObject *message)
{
    core_state *state = send->state;
    PyObject *before = send->start;
    send->stage = SEND_PASS;
    send->start = NULL;
    if (!before && send->tail) {
        before = PyDict_New();
        if (!before || PyDict_SetItem(before, state->str_type, state->str_http_response_body) < 0 ||
            PyDict_SetItem(before, state->str_body, send->tail) < 0 ||
            PyDict_SetItem(before, state->str_more_body, Py_True) < 0) {
            Py_XDECREF(before);
            return NULL;
        }
        Py_CLEAR(send->tail);
    }
    PyObject *awaitable = forward_with(send, before, message);
    Py_XDECREF(before);
    return awaitable;
}

/* The head. */

/* Reads the start into `send->response`. false: it is not made as it should be. */
static bool read_start(core_send *send, PyObject *message)
{
    core_headers headers;
    PyObject *status = core_get(message, send->state->str_status);
    if (!status || !PyLong_Check(status) ||
        !core_headers_open(core_get(message, send->state->str_headers), &headers))
        return false;
    int overflow;
    long code = PyLong_AsLongAndOverflow(status, &overflow);
    if (overflow || code < 100 || code > 999)
        return false;
    hr_response_init(&send->response, &send->request, (int)code);
    for (Py_ssize_t i = 0; i < headers.size; i++) {
        hr_bytes name;
        hr_bytes value;
        if (!core_headers_at(&headers, i, &name, &value))
            return false;
        hr_response_header(&send->response, name, value);
    }
    return true;
}

static bool is_content_length(hr_bytes name)
{
    static const char wanted[] = "content-length";
    if (name.size != sizeof wanted - 1)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        if ((byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte) != wanted[i])
            return false;
    }
    return true;
}

/* The one Content-Length, if it is one and a number. */
static bool read_length(const core_headers *headers, uint64_t *out)
{
    bool found = false;
    for (Py_ssize_t i = 0; i < headers->size; i++) {
        hr_bytes name;
        hr_bytes value;
        if (!core_headers_at(headers, i, &name, &value) || !is_content_length(name))
            continue;
        if (found || value.size == 0 || value.size > 18)
            return false;
        uint64_t length = 0;
        for (size_t k = 0; k < value.size; k++) {
            if (value.data[k] < '0' || value.data[k] > '9')
                return false;
            length = length * 10 + (uint64_t)(value.data[k] - '0');
        }
        *out = length;
        found = true;
    }
    return found;
}

static int append_length(PyObject *list, PyObject *pair, uint64_t length)
{
    PyObject *name = PySequence_GetItem(pair, 0);
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64, length);
    PyObject *value = name ? PyBytes_FromStringAndSize(text, size) : NULL;
    PyObject *item = value ? PyTuple_Pack(2, name, value) : NULL;
    int failed = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    Py_XDECREF(value);
    Py_XDECREF(name);
    return failed;
}

/* A copy without what would no longer be true. `grown`: by how much the body grows; 0: unknown, so
 * that it goes without a length. */
static PyObject *injected_headers(const core_headers *headers, size_t grown)
{
    uint64_t length = 0;
    bool has_length = grown && read_length(headers, &length);
    PyObject *list = PyList_New(0);
    int failed = list ? 0 : -1;
    for (Py_ssize_t i = 0; i < headers->size && !failed; i++) {
        hr_bytes name;
        hr_bytes value;
        PyObject *pair = core_headers_at(headers, i, &name, &value);
        if (!pair || hr_response_header_drops(name))
            continue;
        if (!is_content_length(name))
            failed = PyList_Append(list, pair);
        else if (has_length)
            failed = append_length(list, pair, length + grown);
    }
    if (failed)
        Py_CLEAR(list);
    return list;
}

/* The start of a response that is injected, or may be. */
static PyObject *injected_start(core_send *send, PyObject *start, size_t grown)
{
    core_state *state = send->state;
    core_headers headers;
    if (!core_headers_open(core_get(start, state->str_headers), &headers)) {
        PyErr_SetString(PyExc_TypeError, "headers have changed");
        return NULL;
    }
    PyObject *list = injected_headers(&headers, grown);
    if (list && ((hr_response_wants_no_cache(&send->response) &&
                  PyList_Append(list, state->no_cache) < 0) ||
                 (hr_response_wants_vary(&send->response) && PyList_Append(list, state->vary) < 0)))
        Py_CLEAR(list);
    return with_entry(start, state->str_headers, list);
}

/* The same start, with "Cache-Control: no-cache". */
static PyObject *uncached_start(core_send *send, PyObject *start)
{
    PyObject *headers = core_get(start, send->state->str_headers);
    PyObject *list = headers ? PySequence_List(headers) : PyList_New(0);
    if (list && PyList_Append(list, send->state->no_cache) < 0)
        Py_CLEAR(list);
    return with_entry(start, send->state->str_headers, list);
}

/* Forwards `changed`, or `message` where changing it failed. Steals `changed`. */
static PyObject *forward_changed(core_send *send, PyObject *changed, PyObject *message)
{
    if (!changed) {
        PyErr_Clear();
        return forward(send, message);
    }
    PyObject *awaitable = forward(send, changed);
    Py_DECREF(changed);
    return awaitable;
}

static PyObject *pass_start(core_send *send, PyObject *message)
{
    send->stage = SEND_PASS;
    if (hr_response_cached_by_guess(&send->response))
        return forward_changed(send, uncached_start(send, message), message);
    return forward(send, message);
}

static PyObject *send_start(core_send *send, PyObject *message)
{
    if (!read_start(send, message))
        return pass_all(send, message);
    if (send->stage == SEND_CACHE)
        return pass_start(send, message);
    hr_page page = hr_response_page(&send->response);
    if (page == HR_PAGE_NO && send->response.reason)
        core_layer_warn(send->layer, send->path, send->response.reason);
    if (page == HR_PAGE_NO)
        return pass_start(send, message);
    if (send->is_head) {
        send->stage = SEND_PASS;
        if (page == HR_PAGE_MAYBE)
            return forward(send, message);
        return forward_changed(send, injected_start(send, message, 0), message);
    }
    hr_inject_init(&send->inject, page == HR_PAGE_YES);
    send->start = Py_NewRef(message);
    send->stage = SEND_FIRST;
    return Py_NewRef(send->state->ready);
}

/* The body. */

static bool has_tag(hr_bytes data, size_t place)
{
    hr_bytes prefix = hr_tag_prefix();
    return data.size - place >= prefix.size &&
           memcmp(data.data + place, prefix.data, prefix.size) == 0;
}

static hr_status make_tag(core_send *send, hr_buffer *tag)
{
    hr_buffer script = {0};
    hr_status status = core_layer_script(send->layer, send->root_path, &script);
    if (status == HR_OK)
        status =
            hr_tag_format((hr_bytes){script.data, script.size}, send->cursor, (hr_bytes){0}, tag);
    hr_buffer_fini(&script);
    return status;
}

static PyObject *splice(hr_bytes data, size_t place, hr_bytes tag)
{
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(data.size + tag.size));
    char *at = out ? PyBytes_AsString(out) : NULL;
    if (!at)
        return NULL;
    memcpy(at, data.data, place);
    memcpy(at + place, tag.data, tag.size);
    memcpy(at + place + tag.size, data.data + place, data.size - place);
    return out;
}

/* `message` with `body` in place of its own, after the start if that is held; `grown` as for
 * injected_headers(). NULL without an exception if there is no memory for it. Steals `body`. */
static PyObject *send_changed(core_send *send, PyObject *message, PyObject *body, size_t grown)
{
    PyObject *changed = with_entry(message, send->state->str_body, body);
    PyObject *start = changed && send->start ? injected_start(send, send->start, grown) : NULL;
    if (!changed || (send->start && !start)) {
        PyErr_Clear();
        Py_XDECREF(changed);
        return NULL;
    }
    Py_CLEAR(send->start);
    Py_CLEAR(send->tail);
    PyObject *awaitable = forward_with(send, start, changed);
    Py_XDECREF(start);
    Py_DECREF(changed);
    return awaitable;
}

static bool has_trailers(core_send *send)
{
    PyObject *trailers = send->start ? core_get(send->start, send->state->str_trailers) : NULL;
    return trailers == Py_True;
}

/* `message` with a body of its own. Steals `body`, which may be NULL after an error. */
static PyObject *body_message(core_send *send, PyObject *message, PyObject *body, bool more)
{
    PyObject *copy = with_entry(message, send->state->str_body, body);
    if (copy && more && PyDict_SetItem(copy, send->state->str_more_body, Py_True) < 0)
        Py_CLEAR(copy);
    return copy;
}

static PyObject *view_from(PyObject *data, size_t place)
{
    PyObject *view = PyMemoryView_FromObject(data);
    PyObject *rest = view ? PySequence_GetSlice(view, (Py_ssize_t)place, PY_SSIZE_T_MAX) : NULL;
    Py_XDECREF(view);
    return rest;
}

/* Two messages instead of one: what is before the place with the tag, and a view of the rest. NULL
 * without an exception: no memory. */
static PyObject *send_split(core_send *send, PyObject *message, PyObject *data, size_t place,
                            hr_bytes tag)
{
    hr_bytes head = {0};
    core_bytes(data, &head);
    head.size = place;
    PyObject *start = send->start ? injected_start(send, send->start, tag.size) : NULL;
    PyObject *first = body_message(send, message, splice(head, place, tag), true);
    PyObject *second = body_message(send, message, view_from(data, place), false);
    PyObject *awaitable = NULL;
    if (!first || !second || (send->start && !start))
        PyErr_Clear();
    else if (start)
        awaitable = core_sequence_new(send->state, send->inner, start, first, second);
    else
        awaitable = core_sequence_new(send->state, send->inner, first, second, NULL);
    if (awaitable) {
        Py_CLEAR(send->start);
        Py_CLEAR(send->tail);
    }
    Py_XDECREF(start);
    Py_XDECREF(first);
    Py_XDECREF(second);
    return awaitable;
}

/* The place is found. NULL without an exception: there is a tag already, or no memory for one. */
static PyObject *send_tagged(core_send *send, PyObject *message, PyObject *object)
{
    hr_bytes data = {0};
    core_bytes(object, &data);
    uint64_t place = send->inject.offset - send->sent;
    if (send->inject.offset < send->sent || place > data.size || has_tag(data, place))
        return NULL;
    hr_buffer tag = {0};
    if (make_tag(send, &tag) != HR_OK) {
        hr_buffer_fini(&tag);
        return NULL;
    }
    send_stage next = has_trailers(send) ? SEND_TRAILERS : SEND_PASS;
    hr_bytes inserted = {tag.data, tag.size};
    PyObject *awaitable = data.size - place < SEND_SPLIT
                              ? send_changed(send, message, splice(data, place, inserted), tag.size)
                              : send_split(send, message, object, place, inserted);
    if (awaitable)
        send->stage = next;
    hr_buffer_fini(&tag);
    return awaitable;
}

/* The place may still come: what lies before it goes out, the rest is held. NULL without an
 * exception: no memory. */
static PyObject *send_undecided(core_send *send, PyObject *message, hr_bytes data)
{
    uint64_t safe = send->inject.safe - send->sent;
    if (send->inject.safe < send->sent || safe > data.size)
        return NULL;
    PyObject *body = PyBytes_FromStringAndSize(data.data, (Py_ssize_t)safe);
    PyObject *tail = PyBytes_FromStringAndSize(data.data + safe, (Py_ssize_t)(data.size - safe));
    if (!body || !tail) {
        PyErr_Clear();
        Py_XDECREF(body);
        Py_XDECREF(tail);
        return NULL;
    }
    PyObject *awaitable = send_changed(send, message, body, 0);
    if (awaitable) {
        send->stage = SEND_SEARCH;
        send->sent += safe;
        send->tail = Py_NewRef(tail);
    }
    Py_DECREF(tail);
    return awaitable;
}

/* Nothing goes in. With a held start both messages pass as they came; later only the held bytes are
 * put in front again. */
static PyObject *send_untouched(core_send *send, PyObject *message, PyObject *data)
{
    if (send->start || !send->tail)
        return pass_all(send, message);
    PyObject *changed = with_entry(message, send->state->str_body, Py_NewRef(data));
    if (!changed)
        return NULL;
    send->stage = SEND_PASS;
    Py_CLEAR(send->tail);
    PyObject *awaitable = forward(send, changed);
    Py_DECREF(changed);
    return awaitable;
}

/* The bytes of a body message, and whether more will come. NULL without an exception: it is not
 * made as it should be. */
static PyObject *read_body(core_send *send, PyObject *message, bool *more)
{
    PyObject *more_body = core_get(message, send->state->str_more_body);
    int truth = more_body ? PyObject_IsTrue(more_body) : 0;
    PyObject *body = core_get(message, send->state->str_body);
    PyObject *chunk = NULL;
    if (!body)
        chunk = PyBytes_FromStringAndSize(NULL, 0);
    else if (PyBytes_Check(body))
        chunk = Py_NewRef(body);
    else if (PyByteArray_Check(body) || PyMemoryView_Check(body))
        chunk = PyBytes_FromObject(body);
    if (truth < 0 || !chunk) {
        PyErr_Clear();
        Py_CLEAR(chunk);
    }
    *more = truth > 0;
    return chunk;
}

/* The held bytes and `chunk`, whose reference is stolen. */
static PyObject *join_tail(core_send *send, PyObject *chunk)
{
    if (!send->tail)
        return chunk;
    PyObject *joined = PySequence_Concat(send->tail, chunk);
    Py_DECREF(chunk);
    return joined;
}

static PyObject *send_body(core_send *send, PyObject *message)
{
    bool more;
    hr_bytes bytes;
    PyObject *chunk = read_body(send, message, &more);
    if (!chunk)
        return pass_all(send, message);
    core_bytes(chunk, &bytes);
    hr_verdict verdict = hr_inject_feed(&send->inject, bytes);
    if (verdict == HR_UNDECIDED && !more)
        verdict = hr_inject_end(&send->inject);

    PyObject *data = join_tail(send, chunk);
    if (!data)
        return NULL;
    core_bytes(data, &bytes);
    PyObject *awaitable = NULL;
    if (verdict == HR_INSERT)
        awaitable = send_tagged(send, message, data);
    else if (verdict == HR_UNDECIDED)
        awaitable = send_undecided(send, message, bytes);
    if (!awaitable && !PyErr_Occurred())
        awaitable = send_untouched(send, message, data);
    Py_DECREF(data);
    return awaitable;
}

/* Trailers. */

static PyObject *send_trailers(core_send *send, PyObject *message)
{
    core_headers headers;
    if (!core_headers_open(core_get(message, send->state->str_headers), &headers))
        return forward(send, message);
    PyObject *list = injected_headers(&headers, 0);
    return forward_changed(send, with_entry(message, send->state->str_headers, list), message);
}

/* The call. */

static PyObject *send_message(core_send *send, PyObject *message)
{
    core_state *state = send->state;
    if (!PyDict_Check(message))
        return pass_all(send, message);
    PyObject *type = core_get(message, state->str_type);
    switch (send->stage) {
    case SEND_CACHE:
    case SEND_START:
        if (core_equal(type, state->str_http_response_start))
            return send_start(send, message);
        return forward(send, message);
    case SEND_FIRST:
    case SEND_SEARCH:
        if (core_equal(type, state->str_http_response_body))
            return send_body(send, message);
        return pass_all(send, message);
    case SEND_TRAILERS:
        if (core_equal(type, state->str_http_response_trailers))
            return send_trailers(send, message);
        return forward(send, message);
    case SEND_PASS:
        break;
    }
    return forward(send, message);
}

static PyObject *send_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    core_send *send = (core_send *)self;
    if (send->stage == SEND_PASS)
        return PyObject_Call(send->inner, args, kwargs);
    if (kwargs || PyTuple_Size(args) != 1) {
        PyErr_SetString(PyExc_TypeError, "send() takes one message");
        return NULL;
    }
    PyObject *outer = send->args;
    send->args = args;
    PyObject *awaitable = send_message(send, PyTuple_GetItem(args, 0));
    send->args = outer;
    return awaitable;
}

static PyType_Slot send_slots[] = {
    {Py_tp_doc, "The ASGI send of one response."},
    {Py_tp_dealloc, send_dealloc},
    {Py_tp_traverse, send_traverse},
    {Py_tp_clear, send_clear},
    {Py_tp_call, send_call},
    {0},
};

PyType_Spec core_send_spec = {
    .name = "starlette_hot_reload._core.Send",
    .basicsize = sizeof(core_send),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = send_slots,
};
