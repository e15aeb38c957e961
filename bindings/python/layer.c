#include <string.h>

#include "core.h"

typedef struct core_layer {
    PyObject_HEAD core_state *state; /* lives as long as the type */
    PyObject *app;
    PyObject *endpoint; /* async (scope, receive, send) */
    PyObject *lifespan; /* async (app, scope, receive, send) */
    PyObject *start;    /* (scope) -> Engine | None */
    PyObject *warn;     /* (path, reason) */
    PyObject *note;     /* (path, policies) */
    PyObject *told;     /* a set of what `warn` and `note` were told */
    PyObject *engine;   /* NULL: to be started by the next request */
    PyObject *events_path;
    hr_bytes events;    /* lent by `events_path` */
    PyObject *root;     /* the root_path that what follows is for, or NULL */
    hr_buffer url;      /* of the script */
    size_t events_size; /* of its beginning, the URL of the events */
    hr_buffer tag;      /* with no cursor yet */
    bool is_outermost;
    bool morphs;
} core_layer;

/* Life. */

static PyObject *layer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"app",  "events_path", "endpoint",  "lifespan", "start",
                            "warn", "note",        "outermost", "morph",    NULL};
    PyObject *app;
    PyObject *events_path;
    PyObject *endpoint;
    PyObject *lifespan;
    PyObject *start;
    PyObject *warn;
    PyObject *note;
    int is_outermost;
    int morphs;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O$UOOOOOpp", names, &app, &events_path,
                                     &endpoint, &lifespan, &start, &warn, &note, &is_outermost,
                                     &morphs))
        return NULL;
    hr_bytes events;
    if (!core_text(events_path, &events))
        return core_raise(HR_INVALID, events_path);
    PyObject *told = PySet_New(NULL);
    PyObject *self = told ? PyType_GenericAlloc(type, 0) : NULL;
    if (!self) {
        Py_XDECREF(told);
        return NULL;
    }
    core_layer *layer = (core_layer *)self;
    layer->state = core_state_of(self);
    layer->app = Py_NewRef(app);
    layer->endpoint = Py_NewRef(endpoint);
    layer->lifespan = Py_NewRef(lifespan);
    layer->start = Py_NewRef(start);
    layer->warn = Py_NewRef(warn);
    layer->note = Py_NewRef(note);
    layer->told = told;
    layer->is_outermost = is_outermost;
    layer->morphs = morphs;
    layer->events_path = Py_NewRef(events_path);
    layer->events = events;
    return self;
}

static int layer_traverse(PyObject *self, visitproc visit, void *arg)
{
    core_layer *layer = (core_layer *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(layer->app);
    Py_VISIT(layer->endpoint);
    Py_VISIT(layer->lifespan);
    Py_VISIT(layer->start);
    Py_VISIT(layer->warn);
    Py_VISIT(layer->note);
    Py_VISIT(layer->told);
    Py_VISIT(layer->engine);
    return 0;
}

static int layer_clear(PyObject *self)
{
    core_layer *layer = (core_layer *)self;
    Py_CLEAR(layer->app);
    Py_CLEAR(layer->endpoint);
    Py_CLEAR(layer->lifespan);
    Py_CLEAR(layer->start);
    Py_CLEAR(layer->warn);
    Py_CLEAR(layer->note);
    Py_CLEAR(layer->told);
    Py_CLEAR(layer->engine);
    return 0;
}

static void layer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    layer_clear(self);
    core_layer *layer = (core_layer *)self;
    Py_CLEAR(layer->events_path);
    Py_CLEAR(layer->root);
    hr_buffer_fini(&layer->url);
    hr_buffer_fini(&layer->tag);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* For Send. */

bool core_layer_is_outermost(PyObject *self)
{
    return ((core_layer *)self)->is_outermost;
}

enum { TOLD_MAX = 256 };

/* Whether this is to be told: once, and not for ever. */
static bool is_news(core_layer *layer, PyObject *path, PyObject *what)
{
    PyObject *key = PyTuple_Pack(2, path, what);
    bool is_new = key && PySet_Size(layer->told) < TOLD_MAX &&
                  PySet_Contains(layer->told, key) == 0 && PySet_Add(layer->told, key) == 0;
    Py_XDECREF(key);
    return is_new;
}

/* Calls `say` with the path of the request and `what`, unless that was told already. */
static void tell(core_layer *layer, PyObject *scope, PyObject *say, PyObject *kind, PyObject *what)
{
    PyObject *path = core_get(scope, layer->state->str_path);
    if (path && is_news(layer, path, kind))
        Py_XDECREF(PyObject_CallFunctionObjArgs(say, path, what, NULL));
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(say);
}

void core_layer_warn(PyObject *self, PyObject *scope, const char *reason)
{
    core_layer *layer = (core_layer *)self;
    PyObject *text = PyUnicode_FromString(reason);
    if (text)
        tell(layer, scope, layer->warn, text, text);
    PyErr_Clear();
    Py_XDECREF(text);
}

void core_layer_note_policies(PyObject *self, PyObject *scope, PyObject *headers)
{
    core_layer *layer = (core_layer *)self;
    tell(layer, scope, layer->note, Py_None, headers);
}

/* RFC 3986, section 3.3: what a path may hold as it is. */
static bool is_path_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte && strchr("/-._~!$&'()*+,;=:@", byte));
}

static hr_status append_quoted(hr_bytes path, hr_buffer *out)
{
    static const char digits[] = "0123456789ABCDEF";
    hr_status status = HR_OK;
    size_t plain = 0;
    for (size_t i = 0; i <= path.size && status == HR_OK; i++) {
        if (i < path.size && is_path_byte((unsigned char)path.data[i]))
            continue;
        status = hr_buffer_append(out, path.data + plain, i - plain);
        plain = i + 1;
        if (i < path.size && status == HR_OK) {
            unsigned char byte = (unsigned char)path.data[i];
            const char coded[] = {'%', digits[byte >> 4], digits[byte & 15]};
            status = hr_buffer_append(out, coded, sizeof coded);
        }
    }
    return status;
}

/* Two slashes in front would name another host. */
static hr_bytes trim_slashes(hr_bytes path)
{
    while (path.size > 1 && path.data[0] == '/' && path.data[1] == '/') {
        path.data++;
        path.size--;
    }
    while (path.size && path.data[path.size - 1] == '/')
        path.size--;
    return path;
}

static hr_status format_tag(const core_layer *layer, hr_bytes nonce, bool no_worker, hr_buffer *out)
{
    const hr_tag tag = {
        .script_url = {layer->url.data, layer->url.size},
        .nonce = nonce,
        .no_worker = no_worker,
        .blocks = layer->morphs,
    };
    return hr_tag_format(&tag, out);
}

/* The address of the script names its version, so that a browser keeps it for good, and needs no
 * server to run it. */
static hr_status append_script(hr_buffer *out)
{
    const hr_client_file *file = hr_client_find((hr_bytes){"client.js", 9});
    hr_status status = hr_buffer_append(out, "/", 1);
    if (status == HR_OK)
        status = hr_buffer_append(out, file->name.data, file->name.size);
    if (status == HR_OK)
        status = hr_buffer_append(out, "?", 1);
    if (status == HR_OK)
        status = hr_buffer_append(out, file->etag.data + 1, file->etag.size - 2);
    return status;
}

/* For requests with this root_path, which is a str or NULL. */
static hr_status make_tag(core_layer *layer, PyObject *root_path)
{
    hr_bytes root = {0};
    core_text(root_path, &root);
    core_set(&layer->root, NULL);
    layer->url.size = 0;
    layer->tag.size = 0;
    hr_status status = append_quoted(trim_slashes(root), &layer->url);
    if (status == HR_OK)
        status = append_quoted(layer->events, &layer->url);
    layer->events_size = layer->url.size;
    if (status == HR_OK)
        status = append_script(&layer->url);
    if (status == HR_OK)
        status = format_tag(layer, (hr_bytes){0}, false, &layer->tag);
    if (status == HR_OK)
        core_set(&layer->root, Py_XNewRef(root_path));
    return status;
}

static bool same_text(PyObject *a, PyObject *b)
{
    hr_bytes first = {0};
    hr_bytes second = {0};
    if (a == b)
        return true;
    core_text(a, &first);
    core_text(b, &second);
    return first.size == second.size &&
           (!first.size || memcmp(first.data, second.data, first.size) == 0);
}

static bool prepare(core_layer *layer, PyObject *scope)
{
    PyObject *root = core_get(scope, layer->state->str_root_path);
    return (layer->tag.size && same_text(root, layer->root)) || make_tag(layer, root) == HR_OK;
}

hr_bytes core_layer_events(PyObject *self, PyObject *scope)
{
    core_layer *layer = (core_layer *)self;
    return prepare(layer, scope) ? (hr_bytes){layer->url.data, layer->events_size} : (hr_bytes){0};
}

hr_bytes core_layer_tag(PyObject *self, PyObject *scope, hr_bytes nonce, bool no_worker,
                        hr_buffer *own)
{
    core_layer *layer = (core_layer *)self;
    if (!prepare(layer, scope))
        return (hr_bytes){0};
    if (!nonce.size && !no_worker)
        return (hr_bytes){layer->tag.data, layer->tag.size};
    if (format_tag(layer, nonce, no_worker, own) != HR_OK)
        return (hr_bytes){0};
    return (hr_bytes){own->data, own->size};
}

/* The request. */

static bool is_below(hr_bytes path, hr_bytes prefix)
{
    return path.size >= prefix.size && memcmp(path.data, prefix.data, prefix.size) == 0 &&
           (path.size == prefix.size || path.data[prefix.size] == '/');
}

/* Servers, frameworks and proxies disagree whether `path` begins with `root_path`; behind a server
 * that puts it in front, and no proxy that takes it off, it is there twice. */
static bool is_ours(core_layer *layer, PyObject *scope)
{
    hr_bytes path;
    hr_bytes root;
    if (!core_text(core_get(scope, layer->state->str_path), &path))
        return false;
    if (is_below(path, layer->events))
        return true;
    if (path.size < layer->events.size)
        return false;
    if (!core_text(core_get(scope, layer->state->str_root_path), &root))
        return false;
    while (root.size && root.data[root.size - 1] == '/')
        root.size--;
    while (root.size && is_below(path, root)) {
        path.data += root.size;
        path.size -= root.size;
        if (is_below(path, layer->events))
            return true;
    }
    return false;
}

/* The engine, borrowed; NULL without an exception: there is none to be had. */
static PyObject *started_engine(core_layer *layer, PyObject *scope)
{
    if (layer->engine)
        return layer->engine;
    PyObject *engine = PyObject_CallFunctionObjArgs(layer->start, scope, NULL);
    if (!engine) {
        PyErr_WriteUnraisable(layer->start);
        return NULL;
    }
    if (!Py_IS_TYPE(engine, layer->state->engine_type)) {
        Py_DECREF(engine);
        return NULL;
    }
    core_set(&layer->engine, engine);
    return engine;
}

/* What the request says. */
typedef struct page_request {
    hr_request request;
    uint64_t marked; /* which of the first headers the app of a page may not see as they are */
} page_request;

/* false: it is not made as it should be. */
static bool read_request(core_state *state, PyObject *scope, page_request *out)
{
    hr_bytes method;
    core_headers headers;
    if (!core_text(core_get(scope, state->str_method), &method) ||
        !core_headers_open(core_get(scope, state->str_headers), &headers))
        return false;
    out->marked = 0;
    hr_request_init(&out->request, method);
    for (Py_ssize_t i = 0; i < headers.size; i++) {
        hr_bytes name;
        hr_bytes value;
        PyObject *pair = core_headers_at(&headers, i, &name);
        if (!pair)
            return false;
        if (core_is_among(name.size, HR_REQUEST_ACTION_NAMES) && i < 64)
            out->marked |= UINT64_C(1) << i;
        if (!core_is_among(name.size, HR_REQUEST_NAMES))
            continue;
        if (!core_headers_value(pair, &value))
            return false;
        hr_request_header(&out->request, name, value);
    }
    return true;
}

static PyObject *with_identity(core_state *state, PyObject *pair)
{
    PyObject *name = PySequence_GetItem(pair, 0);
    PyObject *item = name ? PyTuple_Pack(2, name, state->identity) : NULL;
    Py_XDECREF(name);
    return item;
}

static bool hide_header(core_state *state, PyObject *list, Py_ssize_t index)
{
    core_headers headers;
    hr_bytes name;
    core_headers_open(list, &headers);
    PyObject *pair = core_headers_at(&headers, index, &name);
    switch (pair ? hr_request_header_action(name) : HR_HEADER_KEEP) {
    case HR_HEADER_DROP:
        return PyList_SetSlice(list, index, index + 1, NULL) == 0;
    case HR_HEADER_IDENTITY: {
        PyObject *item = with_identity(state, pair);
        return item && PyList_SetItem(list, index, item) == 0;
    }
    case HR_HEADER_KEEP:
        break;
    }
    return true;
}

/* The headers that the app of a page may see: a list of its own. */
static PyObject *page_headers(core_state *state, PyObject *object, uint64_t marked)
{
    PyObject *list = core_headers_list(object);
    if (!list)
        return NULL;
    for (Py_ssize_t i = PyList_Size(list); i-- > 0;) {
        if (i < 64 && !(marked >> i & 1))
            continue;
        if (!hide_header(state, list, i)) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* Without the messages whose bytes we would not see. */
static PyObject *page_extensions(core_state *state, PyObject *extensions)
{
    PyObject *names[] = {state->str_http_response_pathsend, state->str_http_response_zerocopysend};
    if (!core_get(extensions, names[0]) && !core_get(extensions, names[1]))
        return Py_NewRef(extensions);
    PyObject *copy = PyDict_Copy(extensions);
    for (int i = 0; copy && i < 2; i++) {
        if (core_get(copy, names[i]) && PyDict_DelItem(copy, names[i]) < 0)
            Py_CLEAR(copy);
    }
    return copy;
}

/* A copy of the scope, as the app of a page may see it. */
static PyObject *page_scope(core_state *state, PyObject *scope, uint64_t marked)
{
    PyObject *copy = PyDict_Copy(scope);
    if (!copy)
        return NULL;
    PyObject *headers = page_headers(state, core_get(scope, state->str_headers), marked);
    PyObject *extensions = core_get(scope, state->str_extensions);
    bool is_dict = extensions && PyDict_Check(extensions);
    PyObject *kept = is_dict ? page_extensions(state, extensions) : NULL;
    bool failed =
        !headers || (is_dict && !kept) || PyDict_SetItem(copy, state->str_headers, headers) < 0 ||
        (kept != extensions && is_dict && PyDict_SetItem(copy, state->str_extensions, kept) < 0) ||
        PyDict_SetItem(copy, state->str_mark, Py_True) < 0;
    Py_XDECREF(headers);
    Py_XDECREF(kept);
    if (failed)
        Py_CLEAR(copy);
    return copy;
}

/* app(scope, receive, send) with a Send of ours; the app's own awaitable comes back. */
static PyObject *call_wrapped(core_layer *layer, PyObject *args, PyObject *send, PyObject *scope)
{
    PyObject *wrapped =
        send && scope ? PyTuple_Pack(3, scope, PyTuple_GetItem(args, 1), send) : NULL;
    if (wrapped) {
        PyObject *awaitable = PyObject_Call(layer->app, wrapped, NULL);
        Py_DECREF(wrapped);
        return awaitable;
    }
    PyErr_Clear();
    return PyObject_Call(layer->app, args, NULL);
}

static PyObject *call_page(core_layer *layer, PyObject *args, PyObject *scope,
                           const page_request *request, PyObject *engine)
{
    /* Before the app reads anything: what is saved from here on is newer than the page. */
    const hr_cursor now = core_engine_now(engine);
    PyObject *send = core_send_new(layer->state, (PyObject *)layer, PyTuple_GetItem(args, 2), scope,
                                   &request->request, now);
    PyObject *seen = send ? page_scope(layer->state, scope, request->marked) : NULL;
    PyObject *awaitable = call_wrapped(layer, args, send, seen);
    Py_XDECREF(send);
    Py_XDECREF(seen);
    return awaitable;
}

static PyObject *call_other(core_layer *layer, PyObject *args, PyObject *scope,
                            const hr_request *request)
{
    PyObject *send = core_send_new(layer->state, (PyObject *)layer, PyTuple_GetItem(args, 2), NULL,
                                   request, (hr_cursor){0});
    PyObject *awaitable = call_wrapped(layer, args, send, scope);
    Py_XDECREF(send);
    return awaitable;
}

static PyObject *call_http(core_layer *layer, PyObject *args, PyObject *scope)
{
    if (is_ours(layer, scope))
        return PyObject_Call(layer->endpoint, args, NULL);
    page_request request;
    if (!read_request(layer->state, scope, &request))
        return PyObject_Call(layer->app, args, NULL);
    bool may_be_page = hr_request_page(&request.request) != HR_PAGE_NO;
    bool is_get = request.request.method == HR_METHOD_GET;
    if ((!may_be_page && !is_get) || core_get(scope, layer->state->str_mark))
        return PyObject_Call(layer->app, args, NULL);
    PyObject *engine = started_engine(layer, scope);
    if (engine && may_be_page)
        return call_page(layer, args, scope, &request, engine);
    if (engine)
        return call_other(layer, args, scope, &request.request);
    return PyObject_Call(layer->app, args, NULL);
}

static PyObject *call_lifespan(core_layer *layer, PyObject *args, PyObject *scope)
{
    return PyObject_CallFunctionObjArgs(layer->lifespan, layer->app, scope,
                                        PyTuple_GetItem(args, 1), PyTuple_GetItem(args, 2), NULL);
}

static PyObject *layer_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    core_layer *layer = (core_layer *)self;
    PyObject *scope = !kwargs && Py_SIZE(args) == 3 ? PyTuple_GetItem(args, 0) : NULL;
    if (!scope || !core_is_dict(scope))
        return PyObject_Call(layer->app, args, kwargs);
    PyObject *type = core_get(scope, layer->state->str_type);
    if (core_equal(type, layer->state->str_http))
        return call_http(layer, args, scope);
    if (core_equal(type, layer->state->str_lifespan))
        return call_lifespan(layer, args, scope);
    return PyObject_Call(layer->app, args, NULL);
}

/* Attributes. */

static PyObject *layer_get_app(PyObject *self, void *closure)
{
    return Py_NewRef(((core_layer *)self)->app);
}

static PyObject *layer_get_engine(PyObject *self, void *closure)
{
    PyObject *engine = ((core_layer *)self)->engine;
    return Py_NewRef(engine ? engine : Py_None);
}

static int layer_set_engine(PyObject *self, PyObject *value, void *closure)
{
    core_layer *layer = (core_layer *)self;
    if (value && value != Py_None && !Py_IS_TYPE(value, layer->state->engine_type)) {
        PyErr_SetString(PyExc_TypeError, "engine must be an Engine or None");
        return -1;
    }
    core_set(&layer->engine, value && value != Py_None ? Py_NewRef(value) : NULL);
    return 0;
}

static PyGetSetDef layer_getset[] = {
    {"app", layer_get_app, NULL, "the app inside", NULL},
    {"engine", layer_get_engine, layer_set_engine, "None: the next request starts it", NULL},
    {0},
};

static PyType_Slot layer_slots[] = {
    {Py_tp_doc, "The ASGI middleware: puts the client's tag into HTML documents."},
    {Py_tp_new, layer_new},
    {Py_tp_dealloc, layer_dealloc},
    {Py_tp_traverse, layer_traverse},
    {Py_tp_clear, layer_clear},
    {Py_tp_call, layer_call},
    {Py_tp_getset, layer_getset},
    {0},
};

PyType_Spec core_layer_spec = {
    .name = "starlette_hot_reload._core.Layer",
    .basicsize = sizeof(core_layer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = layer_slots,
};
