#include "core.h"

static PyObject *client_file(PyObject *module, PyObject *argument)
{
    hr_bytes name;
    if (!core_bytes(argument, &name)) {
        PyErr_SetString(PyExc_TypeError, "name must be bytes");
        return NULL;
    }
    const hr_client_file *file = hr_client_find(name);
    if (!file)
        Py_RETURN_NONE;
    return Py_BuildValue("(y#y#y#)", file->media_type.data, (Py_ssize_t)file->media_type.size,
                         file->content.data, (Py_ssize_t)file->content.size, file->etag.data,
                         (Py_ssize_t)file->etag.size);
}

static PyObject *heartbeat_frame(PyObject *module, PyObject *unused)
{
    hr_buffer frame = {0};
    hr_status status = hr_wire_heartbeat(&frame);
    PyObject *bytes = status == HR_OK
                          ? PyBytes_FromStringAndSize(frame.data, (Py_ssize_t)frame.size)
                          : core_raise(status, NULL);
    hr_buffer_fini(&frame);
    return bytes;
}

static PyMethodDef core_methods[] = {
    {"client_file", client_file, METH_O,
     PyDoc_STR("(media type, content, ETag) of a file of the browser's client, or None.")},
    {"heartbeat_frame", heartbeat_frame, METH_NOARGS, PyDoc_STR("A comment, for a silent stream.")},
    {0},
};

static bool make_type(PyObject *module, PyType_Spec *spec, const char *public_name,
                      PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *out &&
           (!public_name || PyModule_AddObjectRef(module, public_name, (PyObject *)*out) == 0);
}

static bool make_types(PyObject *module, core_state *state)
{
    if (!make_type(module, &core_engine_spec, "Engine", &state->engine_type) ||
        !make_type(module, &core_layer_spec, "Layer", &state->layer_type) ||
        !make_type(module, &core_send_spec, "Send", &state->send_type) ||
        !make_type(module, &core_sequence_spec, "Sequence", &state->sequence_type) ||
        !make_type(module, &core_ready_spec, "Ready", &state->ready_type))
        return false;
    state->stats_type = PyStructSequence_NewType(&core_stats_desc);
    return state->stats_type &&
           PyModule_AddObjectRef(module, "Stats", (PyObject *)state->stats_type) == 0;
}

static bool make_values(core_state *state)
{
#define CORE_STRING_MAKE(name, text)                                                               \
    if (!(state->str_##name = PyUnicode_InternFromString(text)))                                   \
        return false;
    CORE_STRING_MAP(CORE_STRING_MAKE)
#undef CORE_STRING_MAKE
    PyObject *types = PyImport_ImportModule("types");
    if (!types)
        return false;
    state->coroutine_type = PyObject_GetAttrString(types, "CoroutineType");
    Py_DECREF(types);
    state->ready = PyObject_GC_New(PyObject, state->ready_type);
    if (state->ready)
        PyObject_GC_Track(state->ready);
    state->no_cache = Py_BuildValue("(yy)", "cache-control", "no-cache");
    state->vary = Py_BuildValue("(yy)", "vary", "Sec-Fetch-Dest");
    state->identity = PyBytes_FromString("identity");
    return state->coroutine_type && state->ready && state->no_cache && state->vary &&
           state->identity;
}

static int core_exec(PyObject *module)
{
    core_state *state = PyModule_GetState(module);
    if (!make_types(module, state) || !make_values(state))
        return -1;
    return PyModule_AddStringConstant(module, "__version__", hr_version());
}

static int core_traverse(PyObject *module, visitproc visit, void *arg)
{
    core_state *state = PyModule_GetState(module);
    Py_VISIT(state->engine_type);
    Py_VISIT(state->layer_type);
    Py_VISIT(state->ready_type);
    Py_VISIT(state->send_type);
    Py_VISIT(state->sequence_type);
    Py_VISIT(state->stats_type);
    Py_VISIT(state->coroutine_type);
    Py_VISIT(state->ready);
    return 0;
}

static int core_clear(PyObject *module)
{
    core_state *state = PyModule_GetState(module);
    Py_CLEAR(state->ready);
    Py_CLEAR(state->no_cache);
    Py_CLEAR(state->vary);
    Py_CLEAR(state->identity);
    Py_CLEAR(state->coroutine_type);
    Py_CLEAR(state->engine_type);
    Py_CLEAR(state->layer_type);
    Py_CLEAR(state->ready_type);
    Py_CLEAR(state->send_type);
    Py_CLEAR(state->sequence_type);
    Py_CLEAR(state->stats_type);
#define CORE_STRING_CLEAR(name, text) Py_CLEAR(state->str_##name);
    CORE_STRING_MAP(CORE_STRING_CLEAR)
#undef CORE_STRING_CLEAR
    return 0;
}

static void core_free(void *module)
{
    core_clear(module);
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
    {0},
};

static PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "starlette_hot_reload._core",
    .m_doc = "The engine and the request path of starlette-hot-reload.",
    .m_size = sizeof(core_state),
    .m_methods = core_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
