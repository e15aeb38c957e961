#include <errno.h>

#include "core.h"

bool core_text(PyObject *object, hr_bytes *out)
{
    if (!object || !core_is_text(object))
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

PyObject *core_headers_list(PyObject *object)
{
    if (!object)
        return PyList_New(0);
    return Py_IS_TYPE(object, &PyList_Type) ? PyList_GetSlice(object, 0, Py_SIZE(object))
                                            : PySequence_List(object);
}
