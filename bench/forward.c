/*
 * The floor of every ASGI middleware in C that sees a response: an object in front of the app and
 * one in front of `send`, which look at nothing and forward what they are given. Limited API of
 * CPython 3.10, as the package itself.
 */
#define Py_LIMITED_API 0x030a0000
#include <Python.h>

/* What is called instead of `inner`: an app, or the send of one response. */
typedef struct forward {
    PyObject_HEAD PyObject *inner;
} forward;

static PyObject *forward_new(PyTypeObject *type, PyObject *inner)
{
    forward *self = PyObject_GC_New(forward, type);
    if (!self)
        return NULL;
    self->inner = Py_NewRef(inner);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *inner;
    return PyArg_ParseTuple(args, "O", &inner) ? forward_new(type, inner) : NULL;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((forward *)self)->inner);
    return 0;
}

static int clear(PyObject *self)
{
    Py_CLEAR(((forward *)self)->inner);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* app(scope, receive, send), with a forward in front of `send`; send(message), as it is. */
static PyObject *call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *inner = ((forward *)self)->inner;
    if (PyTuple_Size(args) != 3)
        return PyObject_Call(inner, args, kwargs);
    PyObject *send = forward_new(Py_TYPE(self), PyTuple_GetItem(args, 2));
    if (!send)
        return NULL;
    PyObject *awaitable = PyObject_CallFunctionObjArgs(inner, PyTuple_GetItem(args, 0),
                                                       PyTuple_GetItem(args, 1), send, NULL);
    Py_DECREF(send);
    return awaitable;
}

static PyType_Slot slots[] = {
    {Py_tp_new, make},    {Py_tp_dealloc, dealloc}, {Py_tp_traverse, traverse},
    {Py_tp_clear, clear}, {Py_tp_call, call},       {0},
};

static PyType_Spec spec = {
    .name = "forward.Forward",
    .basicsize = sizeof(forward),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int failed = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "forward", .m_slots = module_slots};

PyMODINIT_FUNC PyInit_forward(void)
{
    return PyModuleDef_Init(&module);
}
