#include <inttypes.h>
#include <string.h>

#include "core.h"

/* From here on one more message costs less than a copy of the body. It is a view, which servers
 * take, but not all middleware does. */
enum { SEND_SPLIT = 256 << 10 };

typedef enum send_stage {
    SEND_OTHER,    /* awaits the start of what is no page, which may lack something */
    SEND_START,    /* awaits the start of what may be a page */
    SEND_FIRST,    /* holds the start, awaits the first of the body */
    SEND_SEARCH,   /* the start is out, the place of the tag not found yet */
    SEND_DECODE,   /* nothing left to search, but the rest has to be decoded */
    SEND_TRAILERS, /* injected; trailers are to come */
    SEND_PASS      /* nothing left to do */
} send_stage;

typedef struct core_send {
    PyObject_HEAD core_state *state; /* lives as long as the type */
    PyObject *layer;
    PyObject *inner;    /* the server's send */
    PyObject *scope;    /* of the request; NULL: begun as SEND_OTHER */
    PyObject *start;    /* held, or NULL */
    PyObject *headers;  /* a page's, once its policies are changed, or NULL */
    PyObject *nonce;    /* with them */
    bool no_worker;     /* with them */
    PyObject *tail;     /* a message of the end of the body so far, held, or NULL */
    PyObject *sequence; /* there while something is held: to send it takes no memory */
    PyObject *args;     /* of the call under way, borrowed */
    uint64_t sent;      /* bytes of the body that were forwarded, decoded */
    hr_cursor cursor;
    hr_request request;
    hr_response response;
    hr_inject inject;
    core_decoder decoder;
    send_stage stage;
} core_send;

/* Life. */

PyObject *core_send_new(core_state *state, PyObject *layer, PyObject *inner, PyObject *scope,
                        const hr_request *request, hr_cursor cursor)
{
    core_send *send = PyObject_GC_New(core_send, state->send_type);
    if (!send)
        return NULL;
    send->state = state;
    send->layer = Py_NewRef(layer);
    send->inner = Py_NewRef(inner);
    send->scope = Py_XNewRef(scope);
    send->start = NULL;
    send->headers = NULL;
    send->nonce = NULL;
    send->no_worker = false;
    send->tail = NULL;
    send->sequence = NULL;
    send->args = NULL;
    send->sent = 0;
    send->cursor = cursor;
    send->request = *request;
    core_decoder_init(&send->decoder, HR_CODING_NONE);
    send->stage = scope ? SEND_START : SEND_OTHER;
    PyObject_GC_Track(send);
    return (PyObject *)send;
}

static int send_traverse(PyObject *self, visitproc visit, void *arg)
{
    core_send *send = (core_send *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(send->layer);
    Py_VISIT(send->inner);
    Py_VISIT(send->scope);
    Py_VISIT(send->start);
    Py_VISIT(send->headers);
    Py_VISIT(send->nonce);
    Py_VISIT(send->tail);
    Py_VISIT(send->sequence);
    Py_VISIT(send->decoder.inflater);
    Py_VISIT(send->decoder.held);
    return 0;
}

static int send_clear(PyObject *self)
{
    core_send *send = (core_send *)self;
    Py_CLEAR(send->layer);
    Py_CLEAR(send->inner);
    Py_CLEAR(send->scope);
    Py_CLEAR(send->start);
    Py_CLEAR(send->headers);
    Py_CLEAR(send->nonce);
    Py_CLEAR(send->tail);
    Py_CLEAR(send->sequence);
    core_decoder_fini(&send->decoder);
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

/* What sends these, `third` if it is there; nothing is held any more. */
static PyObject *take_sequence(core_send *send, PyObject *first, PyObject *second, PyObject *third)
{
    PyObject *sequence = send->sequence;
    send->sequence = NULL;
    core_sequence_fill(sequence, first, second, third);
    return sequence;
}

/* Gives up the search: what is held goes out as it came, then `message`, and all that follows; but
 * a body whose beginning went out decoded is decoded to its end. */
static PyObject *pass_all(core_send *send, PyObject *message)
{
    bool is_decoded = send->decoder.coding && !send->start;
    PyObject *held = send->start ? send->start : send->tail;
    PyObject *sequence = held ? take_sequence(send, held, message, NULL) : NULL;
    Py_CLEAR(send->start);
    Py_CLEAR(send->tail);
    if (!is_decoded)
        core_decoder_fini(&send->decoder);
    send->stage = is_decoded ? SEND_DECODE : SEND_PASS;
    return sequence ? sequence : forward(send, message);
}

/* The same for a body message for which there was no memory: coded bytes must not follow decoded
 * ones. */
static PyObject *pass_body(core_send *send, PyObject *message)
{
    return send->decoder.coding && !send->start ? PyErr_NoMemory() : pass_all(send, message);
}

/* The head. */

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
    unsigned lacks = hr_response_lacks(&send->response);
    if (lacks)
        return forward_changed(send, core_head_completed(send->state, message, lacks), message);
    return forward(send, message);
}

/* Nothing is injected for a reason that a person may wonder about. */
static PyObject *refuse(core_send *send, PyObject *message, const char *reason)
{
    core_layer_warn(send->layer, send->scope, reason);
    send->response.page = HR_PAGE_NO;
    return pass_start(send, message);
}

/* false: there is no memory. */
static bool read_policies(core_send *send, PyObject *start, core_policies *out)
{
    hr_bytes events = core_layer_events(send->layer, send->scope);
    PyObject *asked = core_get(send->scope, send->state->str_headers);
    bool done = events.size && core_head_policies(send->state, start, asked, events, out);
    PyErr_Clear();
    return done;
}

static PyObject *head_start(core_send *send, PyObject *message)
{
    const core_length unknown = {0};
    PyObject *start =
        core_head_injected(send->state, message, send->headers, &send->response, unknown);
    send->stage = SEND_PASS;
    return forward_changed(send, start, message);
}

static PyObject *send_start(core_send *send, PyObject *message)
{
    bool has_policy;
    if (!core_head_read(send->state, message, &send->request, &send->response, &has_policy))
        return pass_all(send, message);
    if (send->stage == SEND_OTHER)
        return pass_start(send, message);
    hr_page page = hr_response_page(&send->response);
    if (page == HR_PAGE_NO && send->response.reason)
        return refuse(send, message, send->response.reason);
    if (page == HR_PAGE_NO)
        return pass_start(send, message);
    core_policies policies = {0};
    if (has_policy && !read_policies(send, message, &policies))
        return pass_all(send, message);
    core_set(&send->headers, policies.headers);
    core_set(&send->nonce, policies.nonce);
    send->no_worker = policies.no_worker;
    if (policies.reason)
        return refuse(send, message, policies.reason);
    if (send->request.method == HR_METHOD_HEAD)
        return page == HR_PAGE_YES ? head_start(send, message) : pass_all(send, message);
    send->sequence = core_sequence_new(send->state, send->inner);
    if (!send->sequence) {
        PyErr_Clear();
        return pass_all(send, message);
    }
    core_decoder_init(&send->decoder, send->response.coding);
    hr_inject_init(&send->inject, page == HR_PAGE_YES);
    send->start = Py_NewRef(message);
    send->stage = SEND_FIRST;
    return Py_NewRef(send->state->ready);
}

/* The body. */

/* How much of the tag that a page may have already is at a place: all of its prefix, none, or what
 * fits into the bytes so far. */
typedef enum seen_tag { TAG_NONE, TAG_CUT, TAG_SEEN } seen_tag;

static seen_tag find_tag(hr_bytes data, size_t place)
{
    hr_bytes prefix = hr_tag_prefix();
    size_t size = data.size - place < prefix.size ? data.size - place : prefix.size;
    if (!size || memcmp(data.data + place, prefix.data, size) != 0)
        return TAG_NONE;
    return size == prefix.size ? TAG_SEEN : TAG_CUT;
}

static PyObject *splice(hr_bytes data, size_t place, hr_bytes tag, hr_cursor cursor)
{
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(data.size + tag.size));
    char *at = out ? PyBytes_AsString(out) : NULL;
    if (!at)
        return NULL;
    memcpy(at, data.data, place);
    memcpy(at + place, tag.data, tag.size);
    hr_cursor_format(cursor, at + place + hr_tag_prefix().size);
    memcpy(at + place + tag.size, data.data + place, data.size - place);
    return out;
}

/* PySequence_GetSlice() would make an int for its end too. */
static PyObject *view_from(PyObject *data, size_t place)
{
    PyObject *start = PyLong_FromSize_t(place);
    PyObject *slice = start ? PySlice_New(start, NULL, NULL) : NULL;
    PyObject *view = slice ? PyMemoryView_FromObject(data) : NULL;
    PyObject *rest = view ? PyObject_GetItem(view, slice) : NULL;
    Py_XDECREF(view);
    Py_XDECREF(slice);
    Py_XDECREF(start);
    return rest;
}

/* Sends `first` and `second`, which may be NULL, after the start if that is held. Steals both. If
 * there was an exception in making them, or is one here, it is taken back, and nothing has changed:
 * NULL without an exception. */
static PyObject *send_messages(core_send *send, PyObject *first, PyObject *second,
                               core_length length)
{
    PyObject *start = NULL;
    PyObject *awaitable = NULL;
    if (send->start && !PyErr_Occurred())
        start =
            core_head_injected(send->state, send->start, send->headers, &send->response, length);
    if (PyErr_Occurred()) {
        PyErr_Clear();
    } else {
        if (start && send->headers)
            core_layer_note_policies(send->layer, send->scope, send->headers);
        Py_CLEAR(send->start);
        Py_CLEAR(send->tail);
        awaitable = start    ? take_sequence(send, start, first, second)
                    : second ? take_sequence(send, first, second, NULL)
                             : forward(send, first);
    }
    Py_XDECREF(start);
    Py_XDECREF(first);
    Py_XDECREF(second);
    return awaitable;
}

/* `message` with `body`, which is stolen and may be NULL after an error, in place of its own. */
static PyObject *send_changed(core_send *send, PyObject *message, PyObject *body,
                              core_length length)
{
    PyObject *changed = core_with_entry(message, send->state->str_body, body);
    return send_messages(send, changed, NULL, length);
}

/* Two messages instead of one: what is before the place with the tag, and a view of the rest. */
static PyObject *send_split(core_send *send, PyObject *message, PyObject *data, size_t place,
                            hr_bytes tag, core_length length)
{
    core_state *state = send->state;
    const hr_bytes head = {core_bytes_of(data).data, place};
    PyObject *first = core_body_message(state, message, splice(head, place, tag, send->cursor));
    PyObject *second =
        first ? core_with_entry(message, state->str_body, view_from(data, place)) : NULL;
    return send_messages(send, first, second, length);
}

static send_stage stage_after(const core_send *send)
{
    if (send->decoder.coding)
        return SEND_DECODE;
    PyObject *trailers = send->start ? core_get(send->start, send->state->str_trailers) : NULL;
    return trailers == Py_True ? SEND_TRAILERS : SEND_PASS;
}

/* The place is found. NULL without an exception: no memory. */
static PyObject *send_tagged(core_send *send, PyObject *message, PyObject *data, size_t place,
                             bool more)
{
    const hr_bytes bytes = core_bytes_of(data);
    hr_buffer buffer = {0};
    PyObject *awaitable = NULL;
    hr_bytes nonce = {0};
    core_bytes(send->nonce, &nonce);
    const hr_bytes tag = core_layer_tag(send->layer, send->scope, nonce, send->no_worker, &buffer);
    if (tag.size) {
        core_length length = {CORE_LENGTH_GROWS, tag.size};
        if (send->decoder.coding)
            length =
                (core_length){more ? CORE_LENGTH_UNKNOWN : CORE_LENGTH_IS, bytes.size + tag.size};
        send_stage next = stage_after(send);
        if (bytes.size - place < SEND_SPLIT || !core_layer_is_outermost(send->layer))
            awaitable =
                send_changed(send, message, splice(bytes, place, tag, send->cursor), length);
        else
            awaitable = send_split(send, message, data, place, tag, length);
        if (awaitable)
            send->stage = next;
    }
    hr_buffer_fini(&buffer);
    return awaitable;
}

/* Nothing of `data` after its first `safe` bytes goes out before more is known. NULL without an
 * exception: no memory. */
static PyObject *send_undecided(core_send *send, PyObject *message, PyObject *data, size_t safe)
{
    const hr_bytes bytes = core_bytes_of(data);
    PyObject *tail = core_body_message(
        send->state, NULL,
        PyBytes_FromStringAndSize(bytes.data + safe, (Py_ssize_t)(bytes.size - safe)));
    PyObject *sequence = !tail         ? NULL
                         : send->start ? core_sequence_new(send->state, send->inner)
                                       : Py_NewRef(send->sequence);
    PyObject *body = sequence ? PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)safe) : NULL;
    PyObject *awaitable = send_changed(send, message, body, (core_length){0});
    if (awaitable) {
        send->stage = SEND_SEARCH;
        send->sent += safe;
        send->tail = tail;
        core_set(&send->sequence, sequence);
        return awaitable;
    }
    Py_XDECREF(tail);
    Py_XDECREF(sequence);
    return NULL;
}

/* Nothing goes in. With a held start both messages pass as they came; later only the held bytes are
 * put in front again, and the rest is decoded still. */
static PyObject *send_untouched(core_send *send, PyObject *message, PyObject *data)
{
    if (send->start || !(send->tail || send->decoder.coding))
        return pass_all(send, message);
    send_stage next = stage_after(send);
    PyObject *awaitable = send_changed(send, message, Py_NewRef(data), (core_length){0});
    if (awaitable)
        send->stage = next;
    return awaitable || PyErr_Occurred() ? awaitable : pass_body(send, message);
}

/* The bytes of a body message, and whether more will come. NULL without an exception: it is not
 * made as it should be. */
static PyObject *read_body(core_send *send, PyObject *message, bool *more)
{
    PyObject *more_body = core_get(message, send->state->str_more_body);
    int truth = more_body ? PyObject_IsTrue(more_body) : 0;
    if (truth < 0) {
        PyErr_Clear();
        return NULL;
    }
    *more = truth;
    PyObject *body = core_get(message, send->state->str_body);
    if (!body)
        return PyBytes_FromStringAndSize(NULL, 0);
    if (core_is_bytes(body))
        return Py_NewRef(body);
    return PyByteArray_Check(body) || PyMemoryView_Check(body) ? PyBytes_FromObject(body) : NULL;
}

/* The held bytes and `chunk`, whose reference is stolen. */
static PyObject *join_tail(core_send *send, PyObject *chunk)
{
    if (!send->tail)
        return chunk;
    PyObject *joined = PySequence_Concat(core_get(send->tail, send->state->str_body), chunk);
    Py_DECREF(chunk);
    return joined;
}

/* What a body message says, decoded. What cannot be decoded passes as it came while the start is
 * held; later the page ends there. NULL: the message has to pass, without an exception, or cannot,
 * with one. */
static PyObject *decoded_body(core_send *send, PyObject *message, bool *more)
{
    PyObject *chunk = read_body(send, message, more);
    PyObject *decoded = chunk;
    if (chunk && send->decoder.coding) {
        decoded = core_decode(&send->decoder, chunk);
        Py_DECREF(chunk);
    }
    if (decoded || !PyErr_Occurred())
        return decoded;
    bool is_broken = !PyErr_ExceptionMatches(PyExc_MemoryError);
    if (send->decoder.coding && !send->start && !is_broken)
        return NULL;
    PyErr_Clear();
    if (is_broken)
        core_layer_warn(send->layer, send->scope, "its body is not what its Content-Encoding says");
    if (send->start || !send->decoder.coding)
        return NULL;
    send->decoder.ended = true;
    return PyBytes_FromStringAndSize(NULL, 0);
}

/* Looks for the place in what has arrived. NULL without an exception: it passes. */
static PyObject *search(core_send *send, PyObject *message, PyObject *data, hr_verdict verdict,
                        bool more)
{
    const hr_bytes bytes = core_bytes_of(data);
    uint64_t place = verdict == HR_INSERT ? send->inject.offset : send->inject.safe;
    if (verdict == HR_UNTOUCHED || place < send->sent || place - send->sent > bytes.size)
        return NULL;
    place -= send->sent;
    if (verdict == HR_UNDECIDED)
        return send_undecided(send, message, data, place);
    switch (find_tag(bytes, place)) {
    case TAG_SEEN:
        return NULL;
    case TAG_CUT:
        if (more)
            return send_undecided(send, message, data, place);
        break;
    case TAG_NONE:
        break;
    }
    return send_tagged(send, message, data, place, more);
}

static PyObject *send_body(core_send *send, PyObject *message)
{
    bool more = false;
    PyObject *chunk = decoded_body(send, message, &more);
    if (!chunk)
        return PyErr_Occurred() ? NULL : pass_all(send, message);
    hr_verdict verdict = hr_inject_feed(&send->inject, core_bytes_of(chunk));
    if (verdict == HR_UNDECIDED && !more)
        verdict = hr_inject_end(&send->inject);

    PyObject *data = join_tail(send, chunk);
    if (!data) {
        PyErr_Clear();
        return pass_body(send, message);
    }
    PyObject *awaitable = search(send, message, data, verdict, more);
    if (!awaitable && !PyErr_Occurred())
        awaitable = send_untouched(send, message, data);
    Py_DECREF(data);
    return awaitable;
}

/* The rest of a body that has to be decoded. */
static PyObject *send_rest(core_send *send, PyObject *message)
{
    bool more;
    PyObject *chunk = decoded_body(send, message, &more);
    if (!chunk)
        return PyErr_Occurred() ? NULL : forward(send, message);
    PyObject *changed = core_with_entry(message, send->state->str_body, chunk);
    PyObject *awaitable = changed ? forward(send, changed) : NULL;
    Py_XDECREF(changed);
    return awaitable;
}

/* Trailers. */

static PyObject *send_trailers(core_send *send, PyObject *message)
{
    PyObject *changed = core_head_trailers(send->state, message, &send->response);
    return forward_changed(send, changed, message);
}

/* The call. */

static PyObject *send_message(core_send *send, PyObject *message)
{
    core_state *state = send->state;
    if (!core_is_dict(message))
        return pass_all(send, message);
    PyObject *type = core_get(message, state->str_type);
    switch (send->stage) {
    case SEND_OTHER:
    case SEND_START:
        if (core_equal(type, state->str_http_response_start))
            return send_start(send, message);
        return forward(send, message);
    case SEND_FIRST:
    case SEND_SEARCH:
        if (core_equal(type, state->str_http_response_body))
            return send_body(send, message);
        return pass_all(send, message);
    case SEND_DECODE:
        if (core_equal(type, state->str_http_response_body))
            return send_rest(send, message);
        /* fall through */
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
    if (kwargs || Py_SIZE(args) != 1) {
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
