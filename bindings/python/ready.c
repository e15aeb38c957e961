#include "core.h"

static PyObject *ready_await(PyObject *self)
{
    return Py_NewRef(self);
}

/* Done at once: NULL without an exception is the end, with None as the result. */
static PyObject *ready_next(PyObject *self)
{
    return NULL;
}

static PyObject *ready_send(PyObject *self, PyObject *value)
{
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *ready_throw(PyObject *self, PyObject *args)
{
    return core_throw(args);
}

static PyObject *ready_close(PyObject *self, PyObject *unused)
{
    Py_RETURN_NONE;
}

/* The only instance is the module's, whose types belong to it: a cycle. */
static int ready_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void ready_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef ready_methods[] = {
    {"send", ready_send, METH_O, NULL},
    {"throw", ready_throw, METH_VARARGS, NULL},
    {"close", ready_close, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_doc, "An awaitable that is done."},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_methods, ready_methods},
    {Py_tp_iter, ready_await},
    {Py_tp_iternext, ready_next},
    {Py_am_await, ready_await},
    {0},
};

PyType_Spec core_ready_spec = {
    .name = "starlette_hot_reload._core.Ready",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_slots,
};
