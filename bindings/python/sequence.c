#include "core.h"

typedef struct core_sequence {
    PyObject_HEAD core_state *state; /* lives as long as the type */
    PyObject *inner;
    PyObject *messages[3]; /* NULL once handed to `inner` */
    PyObject *current;     /* what is being awaited, or NULL */
} core_sequence;

PyObject *core_sequence_new(core_state *state, PyObject *inner)
{
    core_sequence *sequence = PyObject_GC_New(core_sequence, state->sequence_type);
    if (!sequence)
        return NULL;
    sequence->state = state;
    sequence->inner = Py_NewRef(inner);
    sequence->messages[0] = NULL;
    sequence->messages[1] = NULL;
    sequence->messages[2] = NULL;
    sequence->current = NULL;
    PyObject_GC_Track(sequence);
    return (PyObject *)sequence;
}

void core_sequence_fill(PyObject *self, PyObject *first, PyObject *second, PyObject *third)
{
    core_sequence *sequence = (core_sequence *)self;
    sequence->messages[0] = Py_NewRef(first);
    sequence->messages[1] = Py_NewRef(second);
    sequence->messages[2] = Py_XNewRef(third);
}

static int sequence_traverse(PyObject *self, visitproc visit, void *arg)
{
    core_sequence *sequence = (core_sequence *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(sequence->inner);
    Py_VISIT(sequence->messages[0]);
    Py_VISIT(sequence->messages[1]);
    Py_VISIT(sequence->messages[2]);
    Py_VISIT(sequence->current);
    return 0;
}

/* Also the end of every run: a finished sequence holds nothing, and awaiting it again is over at
 * once. */
static int sequence_clear(PyObject *self)
{
    core_sequence *sequence = (core_sequence *)self;
    Py_CLEAR(sequence->inner);
    Py_CLEAR(sequence->messages[0]);
    Py_CLEAR(sequence->messages[1]);
    Py_CLEAR(sequence->messages[2]);
    Py_CLEAR(sequence->current);
    return 0;
}

static void sequence_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    sequence_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *sequence_await(PyObject *self)
{
    return Py_NewRef(self);
}

/* A coroutine is driven as it is; anything else through its __await__(). Steals `awaitable`. */
static PyObject *await_iterator(core_state *state, PyObject *awaitable)
{
    if (!awaitable || (PyObject *)Py_TYPE(awaitable) == state->coroutine_type)
        return awaitable;
    PyObject *iterator = PyObject_CallMethod(awaitable, "__await__", NULL);
    Py_DECREF(awaitable);
    return iterator;
}

/* Makes the next message the current one. 1: there is one; 0: all are sent; -1: an exception. */
static int sequence_advance(core_sequence *sequence)
{
    int index = sequence->messages[0] ? 0 : sequence->messages[1] ? 1 : 2;
    PyObject *message = sequence->messages[index];
    if (!message)
        return 0;
    sequence->messages[index] = NULL;
    PyObject *inner = Py_NewRef(sequence->inner);
    PyObject *awaitable = PyObject_CallFunctionObjArgs(inner, message, NULL);
    Py_DECREF(inner);
    Py_DECREF(message);
    PyObject *iterator = await_iterator(sequence->state, awaitable);
    if (!iterator)
        return -1;
    core_set(&sequence->current, iterator);
    return 1;
}

static PySendResult sequence_step(PyObject *self, PyObject *value, PyObject **out)
{
    core_sequence *sequence = (core_sequence *)self;
    for (;;) {
        if (!sequence->current) {
            int more = sequence_advance(sequence);
            if (more <= 0) {
                sequence_clear(self);
                *out = more == 0 ? Py_NewRef(Py_None) : NULL;
                return more == 0 ? PYGEN_RETURN : PYGEN_ERROR;
            }
        }
        PyObject *current = Py_NewRef(sequence->current);
        PySendResult result = PyIter_Send(current, value, out);
        Py_DECREF(current);
        if (result == PYGEN_NEXT)
            return result;
        if (result == PYGEN_ERROR) {
            sequence_clear(self);
            return result;
        }
        Py_CLEAR(*out);
        Py_CLEAR(sequence->current);
        value = Py_None;
    }
}

static PyObject *sequence_next(PyObject *self)
{
    PyObject *out;
    PySendResult result = sequence_step(self, Py_None, &out);
    if (result == PYGEN_RETURN)
        Py_CLEAR(out);
    return out;
}

static PyObject *sequence_send(PyObject *self, PyObject *value)
{
    PyObject *out;
    PySendResult result = sequence_step(self, value, &out);
    if (result == PYGEN_RETURN) {
        Py_CLEAR(out);
        PyErr_SetNone(PyExc_StopIteration);
    }
    return out;
}

static PyObject *sequence_throw(PyObject *self, PyObject *args)
{
    core_sequence *sequence = (core_sequence *)self;
    PyObject *current = sequence->current ? Py_NewRef(sequence->current) : NULL;
    PyObject *method = current ? PyObject_GetAttr(current, sequence->state->str_throw_) : NULL;
    PyErr_Clear();
    if (!method) {
        Py_XDECREF(current);
        sequence_clear(self);
        return core_throw(args);
    }
    PyObject *yielded = PyObject_Call(method, args, NULL);
    Py_DECREF(method);
    Py_DECREF(current);
    if (yielded)
        return yielded;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        sequence_clear(self);
        return NULL;
    }
    PyErr_Clear(); /* the message was sent all the same: on with the next */
    Py_CLEAR(sequence->current);
    return sequence_send(self, Py_None);
}

static PyObject *sequence_close(PyObject *self, PyObject *unused)
{
    core_sequence *sequence = (core_sequence *)self;
    PyObject *current = sequence->current;
    sequence->current = NULL;
    sequence_clear(self);
    if (!current)
        Py_RETURN_NONE;
    PyObject *method = PyObject_GetAttrString(current, "close");
    Py_DECREF(current);
    if (!method) { /* an iterator that is no generator has nothing to close */
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    PyObject *result = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    return result;
}

static PyMethodDef sequence_methods[] = {
    {"send", sequence_send, METH_O, NULL},
    {"throw", sequence_throw, METH_VARARGS, NULL},
    {"close", sequence_close, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot sequence_slots[] = {
    {Py_tp_doc, "An awaitable that sends messages, one after the other."},
    {Py_tp_dealloc, sequence_dealloc},
    {Py_tp_traverse, sequence_traverse},
    {Py_tp_clear, sequence_clear},
    {Py_tp_methods, sequence_methods},
    {Py_tp_iter, sequence_await},
    {Py_tp_iternext, sequence_next},
    {Py_am_await, sequence_await},
    {Py_am_send, sequence_step},
    {0},
};

PyType_Spec core_sequence_spec = {
    .name = "starlette_hot_reload._core.Sequence",
    .basicsize = sizeof(core_sequence),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sequence_slots,
};
