#include <string.h>

#include "core.h"

PyObject *core_with_entry(PyObject *message, PyObject *key, PyObject *value)
{
    PyObject *copy = value ? PyDict_Copy(message) : NULL;
    if (copy && PyDict_SetItem(copy, key, value) < 0)
        Py_CLEAR(copy);
    Py_XDECREF(value);
    return copy;
}

PyObject *core_body_message(core_state *state, PyObject *message, PyObject *body)
{
    PyObject *copy = NULL;
    if (body)
        copy = message ? PyDict_Copy(message) : PyDict_New();
    if (copy &&
        ((!message && PyDict_SetItem(copy, state->str_type, state->str_http_response_body) < 0) ||
         PyDict_SetItem(copy, state->str_body, body) < 0 ||
         PyDict_SetItem(copy, state->str_more_body, Py_True) < 0))
        Py_CLEAR(copy);
    Py_XDECREF(body);
    return copy;
}

/* The same pair with another value. */
static PyObject *with_value(PyObject *pair, const char *data, size_t size)
{
    PyObject *name = PySequence_GetItem(pair, 0);
    PyObject *value = name ? PyBytes_FromStringAndSize(data, (Py_ssize_t)size) : NULL;
    PyObject *item = value ? PyTuple_Pack(2, name, value) : NULL;
    Py_XDECREF(value);
    Py_XDECREF(name);
    return item;
}

bool core_head_read(core_state *state, PyObject *start, const hr_request *request,
                    hr_response *response, bool *has_policy)
{
    core_headers headers;
    PyObject *status = core_get(start, state->str_status);
    if (!status || !PyLong_Check(status) ||
        !core_headers_open(core_get(start, state->str_headers), &headers))
        return false;
    int overflow;
    long code = PyLong_AsLongAndOverflow(status, &overflow);
    if (overflow || code < 100 || code > 999)
        return false;
    hr_response_init(response, request, (int)code);
    *has_policy = false;
    for (Py_ssize_t i = 0; i < headers.size; i++) {
        hr_bytes name;
        hr_bytes value;
        PyObject *pair = core_headers_at(&headers, i, &name);
        if (!pair)
            return false;
        if (core_is_among(name.size, HR_RESPONSE_NAMES)) {
            if (!core_headers_value(pair, &value))
                return false;
            hr_response_header(response, name, value);
        }
        *has_policy |= hr_policy_is_header(name);
    }
    return true;
}

/* Length. */

static bool read_length(PyObject *pair, uint64_t *out)
{
    hr_bytes value;
    if (!core_headers_value(pair, &value) || value.size == 0 || value.size > 18)
        return false;
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    *out = length;
    return true;
}

static PyObject *with_length(PyObject *pair, uint64_t length)
{
    char text[20];
    char *end = text + sizeof text;
    char *at = end;
    do {
        *--at = (char)('0' + length % 10);
        length /= 10;
    } while (length);
    return with_value(pair, at, (size_t)(end - at));
}

/* Corrects the Content-Length at `index`, or takes it out if it is no number or nobody knows it. */
static int correct_length(PyObject *list, Py_ssize_t index, core_length length)
{
    uint64_t bytes;
    PyObject *pair = PyList_GetItem(list, index);
    if (length.kind == CORE_LENGTH_UNKNOWN || !read_length(pair, &bytes))
        return PyList_SetSlice(list, index, index + 1, NULL);
    bytes = length.kind == CORE_LENGTH_GROWS ? bytes + length.bytes : length.bytes;
    PyObject *item = with_length(pair, bytes);
    return item ? PyList_SetItem(list, index, item) : -1;
}

/* Starts. */

/* What is no longer true of an injected page is left out. */
static PyObject *injected_headers(const core_headers *headers, const hr_response *response,
                                  core_length length)
{
    Py_ssize_t place = -1; /* of the Content-Length in `list` */
    PyObject *list = PyList_New(0);
    int failed = list ? 0 : -1;
    for (Py_ssize_t i = 0; i < headers->size && !failed; i++) {
        hr_bytes name;
        PyObject *pair = core_headers_at(headers, i, &name);
        if (!pair)
            continue;
        if (core_is_among(name.size, HR_RESPONSE_CHANGED_NAMES)) {
            if (hr_response_header_drops(response, name))
                continue;
            if (hr_header_is_length(name)) {
                if (place >= 0) { /* nobody knows which of the two is right */
                    length.kind = CORE_LENGTH_UNKNOWN;
                    continue;
                }
                place = Py_SIZE(list);
            }
        }
        failed = PyList_Append(list, pair);
    }
    if (place >= 0 && !failed)
        failed = correct_length(list, place, length);
    if (failed)
        Py_CLEAR(list);
    return list;
}

/* Steals `list`, which may be NULL after an error. */
static PyObject *add_lacking(core_state *state, PyObject *list, unsigned lacks)
{
    if (list && ((lacks & HR_LACKS_NO_CACHE && PyList_Append(list, state->no_cache) < 0) ||
                 (lacks & HR_LACKS_VARY && PyList_Append(list, state->vary) < 0)))
        Py_CLEAR(list);
    return list;
}

PyObject *core_head_injected(core_state *state, PyObject *start, PyObject *own_headers,
                             const hr_response *response, core_length length)
{
    core_headers headers;
    if (!core_headers_open(own_headers ? own_headers : core_get(start, state->str_headers),
                           &headers)) {
        PyErr_SetString(PyExc_TypeError, "headers have changed");
        return NULL;
    }
    PyObject *list = injected_headers(&headers, response, length);
    list = add_lacking(state, list, hr_response_lacks(response));
    return core_with_entry(start, state->str_headers, list);
}

PyObject *core_head_completed(core_state *state, PyObject *start, unsigned lacks)
{
    PyObject *list = core_headers_list(core_get(start, state->str_headers));
    return core_with_entry(start, state->str_headers, add_lacking(state, list, lacks));
}

PyObject *core_head_trailers(core_state *state, PyObject *message, const hr_response *response)
{
    core_headers headers;
    if (!core_headers_open(core_get(message, state->str_headers), &headers))
        return NULL;
    PyObject *list = injected_headers(&headers, response, (core_length){0});
    return core_with_entry(message, state->str_headers, list);
}

/* Policies. */

static bool is_name(hr_bytes name, const char *wanted)
{
    return name.size == strlen(wanted) && memcmp(name.data, wanted, name.size) == 0;
}

/* The host that the browser asked for. Empty if a proxy may have put another in its place. ASGI has
 * names in lower case. */
static hr_bytes asked_host(const core_headers *headers)
{
    hr_bytes host = {0};
    for (Py_ssize_t i = 0; i < headers->size; i++) {
        hr_bytes name;
        hr_bytes value;
        PyObject *pair = core_headers_at(headers, i, &name);
        if (!pair)
            continue;
        if (is_name(name, "host") && core_headers_value(pair, &value))
            host = value;
        else if (is_name(name, "via") || is_name(name, "forwarded") ||
                 (name.size > 11 && memcmp(name.data, "x-forwarded", 11) == 0))
            return (hr_bytes){0};
    }
    return host;
}

static bool settle(const core_headers *headers, hr_policy *policy)
{
    hr_policy_init(policy);
    for (Py_ssize_t i = 0; i < headers->size; i++) {
        hr_bytes name;
        hr_bytes value;
        PyObject *pair = core_headers_at(headers, i, &name);
        if (pair && hr_policy_is_header(name) && core_headers_value(pair, &value))
            hr_policy_header(policy, name, value);
    }
    return hr_policy_settle(policy) == HR_OK;
}

/* Rewrites the header at `index` of a list that nobody else has. */
static bool rewrite(PyObject *list, Py_ssize_t index, const hr_policy *policy,
                    hr_policy_client client, bool *changed)
{
    core_headers headers;
    hr_bytes name;
    hr_bytes value;
    hr_buffer out = {0};
    core_headers_open(list, &headers);
    PyObject *pair = core_headers_at(&headers, index, &name);
    if (!pair || !hr_policy_is_header(name) || !core_headers_value(pair, &value))
        return true;
    bool done = hr_policy_rewrite(policy, value, client, &out) == HR_OK;
    if (done && out.size) {
        PyObject *item = with_value(pair, out.data, out.size);
        done = item && PyList_SetItem(list, index, item) == 0;
        *changed = true;
    }
    hr_buffer_fini(&out);
    return done;
}

static bool rewrite_all(PyObject *list, const hr_policy *policy, hr_policy_client client,
                        bool *changed)
{
    Py_ssize_t size = list ? PyList_Size(list) : 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!rewrite(list, i, policy, client, changed))
            return false;
    }
    return list;
}

bool core_head_policies(core_state *state, PyObject *start, PyObject *asked, hr_bytes events_path,
                        core_policies *out)
{
    core_headers headers;
    core_headers asked_headers;
    hr_policy policy;
    bool changed = false;
    if (!core_headers_open(core_get(start, state->str_headers), &headers) ||
        !core_headers_open(asked, &asked_headers) || !settle(&headers, &policy))
        return false;
    const hr_policy_client client = {asked_host(&asked_headers), events_path};
    PyObject *list = core_headers_list(headers.object);
    PyObject *nonce = PyBytes_FromStringAndSize(policy.nonce.data, (Py_ssize_t)policy.nonce.size);
    if (!nonce || !rewrite_all(list, &policy, client, &changed)) {
        Py_XDECREF(list);
        Py_XDECREF(nonce);
        return false;
    }
    if (!changed)
        Py_CLEAR(list);
    *out = (core_policies){list, nonce, policy.no_worker, policy.reason};
    return true;
}
