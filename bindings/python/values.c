#include <errno.h>

#include "core.h"

bool core_bytes(PyObject *object, hr_bytes *out)
{
    char *data;
    Py_ssize_t size;
    /* The exact type first: in the limited API every other check is a call. */
    if (!object || !(Py_IS_TYPE(object, &PyBytes_Type) || PyBytes_Check(object)) ||
        PyBytes_AsStringAndSize(object, &data, &size) < 0)
        return false;
    *out = (hr_bytes){data, (size_t)size};
    return true;
}

bool core_text(PyObject *object, hr_bytes *out)
{
    if (!object || !PyUnicode_Check(object))
        return false;
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(object, &size);
    if (!data) {
        PyErr_Clear();
        return false;
    }
    *out = (hr_bytes){data, (size_t)size};
    return true;
}

PyObject *core_raise(hr_status status, PyObject *subject)
{
    switch (status) {
    case HR_NOMEM:
        return PyErr_NoMemory();
    case HR_SYSTEM:
        return PyErr_SetFromErrno(PyExc_OSError);
    case HR_NOT_DIRECTORY:
        errno = ENOTDIR;
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, subject);
    case HR_STATE:
        PyErr_SetString(PyExc_RuntimeError, hr_status_text(status));
        return NULL;
    case HR_OK:
    case HR_INVALID:
        break;
    }
    if (subject)
        return PyErr_Format(PyExc_ValueError, "%s: %R", hr_status_text(status), subject);
    PyErr_SetString(PyExc_ValueError, hr_status_text(status));
    return NULL;
}

PyObject *core_throw(PyObject *args)
{
    PyObject *type;
    PyObject *value = Py_None;
    PyObject *traceback = Py_None;
    if (!PyArg_ParseTuple(args, "O|OO", &type, &value, &traceback))
        return NULL;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else
        PyErr_SetObject(type, value);
    return NULL;
}

bool core_headers_open(PyObject *object, core_headers *out)
{
    *out = (core_headers){0};
    if (!object)
        return true;
    if (PyList_Check(object)) {
        *out = (core_headers){object, PyList_Size(object), true};
        return true;
    }
    if (PyTuple_Check(object)) {
        *out = (core_headers){object, PyTuple_Size(object), false};
        return true;
    }
    return false;
}

static PyObject *item_of(PyObject *pair, Py_ssize_t index)
{
    /* The exact type first: in the limited API every other check is a call. */
    if (Py_IS_TYPE(pair, &PyTuple_Type) || PyTuple_Check(pair))
        return PyTuple_Size(pair) == 2 ? PyTuple_GetItem(pair, index) : NULL;
    return PyList_Check(pair) && PyList_Size(pair) == 2 ? PyList_GetItem(pair, index) : NULL;
}

PyObject *core_headers_at(const core_headers *headers, Py_ssize_t index, hr_bytes *name)
{
    PyObject *pair = headers->is_list ? PyList_GetItem(headers->object, index)
                                      : PyTuple_GetItem(headers->object, index);
    return core_bytes(item_of(pair, 0), name) ? pair : NULL;
}

bool core_headers_value(PyObject *pair, hr_bytes *value)
{
    return core_bytes(item_of(pair, 1), value);
}
