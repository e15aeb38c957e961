#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core.h"

typedef struct core_engine {
    PyObject_HEAD hr_journal *journal;
    hr_wire *wire;
    core_notes *notes;
    core_history *history;
    hr_watch *watch; /* NULL: stopped */
    hr_watch_stats last_stats;
    char **exclude;
    size_t exclude_count;
    Py_ssize_t root_count;
    unsigned waiting; /* calls of wait_ready() that are under way */

    /* Counts twice a batch: odd while one is being pushed by the watcher's thread. Counts by two
     * for what is done under the GIL. */
    _Atomic uint64_t generation;

    /* Streams stand at the same cursor as long as nothing is pushed, so that one answer serves all.
     * Under the GIL. */
    hr_cursor settled;
    uint64_t settled_generation; /* of `settled`; odd: none */
    hr_cursor answered;
    uint64_t answered_generation; /* of `answered` and `answer` */
    PyObject *answer;             /* (frame, cursor), or NULL */
} core_engine;

/* The watcher's thread: no Python. */

static void on_batch(void *user, const hr_batch *batch)
{
    core_engine *engine = user;
    core_notes_batch(engine->notes, batch);
    core_history_add(engine->history, batch);
    atomic_fetch_add(&engine->generation, 1);
    hr_journal_push(engine->journal, batch);
    atomic_fetch_add(&engine->generation, 1);
}

static void on_note(void *user, hr_level level, const char *text)
{
    core_engine *engine = user;
    core_notes_add(engine->notes, level, text);
    hr_journal_wake(engine->journal);
}

static void on_synced(void *user)
{
    core_engine *engine = user;
    hr_journal_wake(engine->journal);
}

/* Life. */

static bool pair_of_bytes(PyObject *pair, hr_bytes *first, hr_bytes *second)
{
    return PyTuple_Check(pair) && PyTuple_Size(pair) == 2 &&
           core_bytes(PyTuple_GetItem(pair, 0), first) &&
           core_bytes(PyTuple_GetItem(pair, 1), second);
}

static bool add_roots(core_engine *engine, PyObject *roots)
{
    for (Py_ssize_t i = 0; i < PyList_Size(roots); i++) {
        PyObject *item = PyList_GetItem(roots, i);
        hr_bytes path;
        uint32_t index;
        if (!core_bytes(item, &path)) {
            PyErr_SetString(PyExc_TypeError, "roots must be a list of bytes");
            return false;
        }
        hr_status status = hr_watch_add_root(engine->watch, path, &index);
        if (status == HR_OK)
            status = hr_wire_add_root(engine->wire, path);
        if (status != HR_OK) {
            core_raise(status, item);
            return false;
        }
        engine->root_count++;
    }
    return true;
}

static bool add_served(core_engine *engine, PyObject *served)
{
    for (Py_ssize_t i = 0; i < PyList_Size(served); i++) {
        PyObject *item = PyList_GetItem(served, i);
        hr_bytes directory;
        hr_bytes url;
        if (!pair_of_bytes(item, &directory, &url)) {
            PyErr_SetString(PyExc_TypeError, "served must be a list of (bytes, bytes)");
            return false;
        }
        hr_status status = hr_wire_add_served(engine->wire, directory, url);
        if (status != HR_OK) {
            core_raise(status, item);
            return false;
        }
    }
    return true;
}

/* hr_watch borrows the patterns, so that the engine keeps copies. */
static bool copy_exclude(core_engine *engine, PyObject *exclude)
{
    Py_ssize_t count = PyList_Size(exclude);
    engine->exclude = calloc((size_t)count + 1, sizeof *engine->exclude);
    if (!engine->exclude) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        hr_bytes pattern;
        if (!core_bytes(PyList_GetItem(exclude, i), &pattern)) {
            PyErr_SetString(PyExc_TypeError, "exclude must be a list of bytes");
            return false;
        }
        char *copy = strndup(pattern.data, pattern.size);
        if (!copy) {
            PyErr_NoMemory();
            return false;
        }
        engine->exclude[engine->exclude_count++] = copy;
    }
    return true;
}

static bool open_engine(core_engine *engine, hr_bytes base, int polling, double poll_interval,
                        uint64_t boot)
{
    engine->notes = core_notes_new();
    engine->history = core_history_new();
    if (!engine->notes || !engine->history) {
        PyErr_NoMemory();
        return false;
    }
    hr_watch_options options = {
        .polling = (hr_polling)polling,
        .poll_interval_us = (uint64_t)(poll_interval * 1e6),
        .exclude = (const char *const *)engine->exclude,
        .exclude_count = engine->exclude_count,
        .on_batch = on_batch,
        .on_note = on_note,
        .on_synced = on_synced,
        .user = engine,
    };
    hr_status status = hr_journal_new(boot, NULL, &engine->journal);
    if (status == HR_OK)
        status = hr_wire_new(base, &engine->wire);
    if (status == HR_OK)
        status = hr_watch_new(&options, &engine->watch);
    if (status != HR_OK)
        core_raise(status, NULL);
    return status == HR_OK;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"roots",   "base", "served", "polling", "poll_interval",
                            "exclude", "boot", "morph",  NULL};
    PyObject *roots;
    PyObject *served;
    PyObject *exclude;
    PyObject *base_object;
    hr_bytes base;
    int polling;
    double poll_interval;
    unsigned long long boot;
    int morph;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!$SO!idO!Kp", names, &PyList_Type, &roots,
                                     &base_object, &PyList_Type, &served, &polling, &poll_interval,
                                     &PyList_Type, &exclude, &boot, &morph))
        return NULL;
    if (!core_bytes(base_object, &base))
        return NULL;
    if (polling < HR_POLLING_AUTO || polling > HR_POLLING_NEVER || !(poll_interval > 0) ||
        poll_interval > 1e9) {
        PyErr_SetString(PyExc_ValueError, "polling or poll_interval out of range");
        return NULL;
    }
    PyObject *self = PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    core_engine *engine = (core_engine *)self;
    engine->settled_generation = 1;
    if (!copy_exclude(engine, exclude) ||
        !open_engine(engine, base, polling, poll_interval, boot) || !add_roots(engine, roots) ||
        !add_served(engine, served)) {
        Py_DECREF(self);
        return NULL;
    }
    hr_wire_set_morph(engine->wire, morph);
    return self;
}

static void stop_watch(core_engine *engine)
{
    hr_watch *watch = engine->watch;
    if (!watch)
        return;
    engine->last_stats = hr_watch_get_stats(watch);
    engine->watch = NULL;
    Py_BEGIN_ALLOW_THREADS;
    hr_watch_free(watch);
    Py_END_ALLOW_THREADS;
}

static void engine_dealloc(PyObject *self)
{
    core_engine *engine = (core_engine *)self;
    PyTypeObject *type = Py_TYPE(self);
    stop_watch(engine);
    hr_wire_free(engine->wire);
    hr_journal_free(engine->journal);
    core_notes_free(engine->notes);
    core_history_free(engine->history);
    for (size_t i = 0; i < engine->exclude_count; i++)
        free(engine->exclude[i]);
    free(engine->exclude);
    Py_XDECREF(engine->answer);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *engine_start(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    hr_status status = engine->watch ? hr_watch_start(engine->watch) : HR_STATE;
    if (status != HR_OK)
        return core_raise(status, NULL);
    Py_RETURN_NONE;
}

static PyObject *engine_stop(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    if (engine->waiting) {
        PyErr_SetString(PyExc_RuntimeError, "wait_ready() is under way in another thread");
        return NULL;
    }
    stop_watch(engine);
    hr_journal_wake(engine->journal);
    Py_RETURN_NONE;
}

static PyObject *engine_wait_ready(PyObject *self, PyObject *timeout)
{
    core_engine *engine = (core_engine *)self;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred())
        return NULL;
    if (!engine->watch)
        Py_RETURN_FALSE;
    bool ready;
    engine->waiting++;
    Py_BEGIN_ALLOW_THREADS;
    ready = hr_watch_wait_ready(engine->watch, seconds > 0 ? (uint64_t)(seconds * 1e6) : 0);
    Py_END_ALLOW_THREADS;
    engine->waiting--;
    return PyBool_FromLong(ready);
}

/* Cursors and frames. */

hr_cursor core_engine_now(PyObject *engine)
{
    return hr_journal_now(((core_engine *)engine)->journal);
}

static PyObject *cursor_text(hr_cursor cursor)
{
    char text[HR_CURSOR_SIZE];
    hr_cursor_format(cursor, text);
    return PyUnicode_FromStringAndSize(text, sizeof text);
}

static PyObject *answer_new(const hr_buffer *frame, hr_cursor cursor)
{
    PyObject *text = cursor_text(cursor);
    PyObject *bytes = PyBytes_FromStringAndSize(frame->data, (Py_ssize_t)frame->size);
    PyObject *answer = text && bytes ? PyTuple_Pack(2, bytes, text) : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    return answer;
}

/* A cursor of now for a stream to stand at: the same one until something is pushed. */
static hr_cursor settled_cursor(core_engine *engine)
{
    uint64_t generation = atomic_load(&engine->generation);
    if (generation & 1)
        return hr_journal_now(engine->journal);
    if (engine->settled_generation != generation) {
        hr_cursor now = hr_journal_now(engine->journal);
        if (atomic_load(&engine->generation) != generation)
            return now;
        engine->settled = now;
        engine->settled_generation = generation;
    }
    return engine->settled;
}

static PyObject *engine_now(PyObject *self, PyObject *unused)
{
    return cursor_text(core_engine_now(self));
}

/* The frame that answers "what changed since?" */
static PyObject *answer_since(core_engine *engine, hr_cursor since)
{
    hr_delta delta;
    hr_buffer frame = {0};
    hr_status status = hr_journal_since(engine->journal, since, &delta);
    if (status != HR_OK)
        return core_raise(status, NULL);
    if (delta.kind == HR_SINCE_CHANGES)
        status = hr_wire_changes(engine->wire, &delta, &frame);
    else if (delta.kind == HR_SINCE_LOST)
        status = hr_wire_hello(engine->wire, delta.cursor, true, &frame);
    PyObject *answer =
        status == HR_OK ? answer_new(&frame, delta.cursor) : core_raise(status, NULL);
    hr_buffer_fini(&frame);
    hr_delta_fini(&delta);
    return answer;
}

static PyObject *engine_since(PyObject *self, PyObject *cursor)
{
    core_engine *engine = (core_engine *)self;
    hr_bytes text;
    hr_cursor since;
    if (!core_text(cursor, &text) || hr_cursor_parse(text, &since) != HR_OK)
        return core_raise(HR_INVALID, cursor);
    uint64_t generation = atomic_load(&engine->generation);
    if (engine->answer && engine->answered_generation == generation &&
        engine->answered.boot == since.boot && engine->answered.sequence == since.sequence)
        return Py_NewRef(engine->answer);
    PyObject *answer = answer_since(engine, since);
    if (answer && !(generation & 1) && generation == atomic_load(&engine->generation)) {
        core_set(&engine->answer, Py_NewRef(answer));
        engine->answered = since;
        engine->answered_generation = generation;
    }
    return answer;
}

/* Where a stream begins that comes with `cursor`: the cursor it stands at, the one to tell, which
 * is newer if nothing happened, and whether what happened in between is unknown. */
static hr_status resume(core_engine *engine, PyObject *cursor, hr_cursor *from, hr_cursor *told,
                        bool *reload)
{
    hr_bytes text;
    hr_cursor since;
    *from = settled_cursor(engine);
    *told = hr_journal_now(engine->journal);
    *reload = false;
    if (!core_text(cursor, &text) || hr_cursor_parse(text, &since) != HR_OK)
        return HR_OK;
    hr_delta delta;
    hr_status status = hr_journal_since(engine->journal, since, &delta);
    if (status != HR_OK)
        return status;
    if (delta.kind == HR_SINCE_CHANGES)
        *from = *told = since;
    *reload = delta.kind == HR_SINCE_LOST;
    hr_delta_fini(&delta);
    return HR_OK;
}

static PyObject *engine_hello(PyObject *self, PyObject *args)
{
    core_engine *engine = (core_engine *)self;
    PyObject *cursor;
    unsigned int retry;
    if (!PyArg_ParseTuple(args, "OI", &cursor, &retry))
        return NULL;
    hr_cursor from;
    hr_cursor told;
    bool reload;
    hr_buffer frame = {0};
    hr_status status = resume(engine, cursor, &from, &told, &reload);
    if (status == HR_OK)
        status = hr_wire_retry(retry, &frame);
    if (status == HR_OK)
        status = hr_wire_hello(engine->wire, told, reload, &frame);
    PyObject *answer = status == HR_OK ? answer_new(&frame, from) : core_raise(status, NULL);
    hr_buffer_fini(&frame);
    return answer;
}

static PyObject *engine_shutdown_frame(PyObject *self, PyObject *unused)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    hr_buffer frame = {0};
    hr_status status = hr_wire_shutdown(((core_engine *)self)->wire,
                                        (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, &frame);
    PyObject *bytes = status == HR_OK
                          ? PyBytes_FromStringAndSize(frame.data, (Py_ssize_t)frame.size)
                          : core_raise(status, NULL);
    hr_buffer_fini(&frame);
    return bytes;
}

/* What waits. */

static PyObject *engine_hold(PyObject *self, PyObject *holds)
{
    core_engine *engine = (core_engine *)self;
    hr_journal_hold(engine->journal, holds == Py_True);
    atomic_fetch_add(&engine->generation, 2);
    Py_RETURN_NONE;
}

/* [(index of the root, path)], in the order of the event. */
static PyObject *named_files(const hr_batch *batch)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < batch->count; i++) {
        const hr_change *change = &batch->changes[i];
        PyObject *pair =
            Py_BuildValue("(Iy#)", change->root, change->path.data, (Py_ssize_t)change->path.size);
        if (!pair || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *waiting_tuple(core_engine *engine, const hr_delta *delta)
{
    hr_buffer frame = {0};
    if (delta->kind == HR_SINCE_CHANGES && hr_wire_changes(engine->wire, delta, &frame) != HR_OK) {
        hr_buffer_fini(&frame);
        return PyErr_NoMemory();
    }
    PyObject *cursor = cursor_text(delta->cursor);
    PyObject *files = named_files(&delta->batch);
    PyObject *tuple = cursor && files ? Py_BuildValue("(y#OO)", frame.size ? frame.data : "",
                                                      (Py_ssize_t)frame.size, files, cursor)
                                      : NULL;
    Py_XDECREF(cursor);
    Py_XDECREF(files);
    hr_buffer_fini(&frame);
    return tuple;
}

static PyObject *engine_waiting(PyObject *self, PyObject *cursor)
{
    core_engine *engine = (core_engine *)self;
    hr_bytes text;
    hr_cursor after = {0};
    hr_delta delta;
    if (cursor != Py_None && (!core_text(cursor, &text) || hr_cursor_parse(text, &after) != HR_OK))
        return core_raise(HR_INVALID, cursor);
    hr_status status = hr_journal_waiting(engine->journal, after, &delta);
    if (status != HR_OK)
        return core_raise(status, NULL);
    PyObject *waiting =
        delta.kind == HR_SINCE_NOTHING ? Py_NewRef(Py_None) : waiting_tuple(engine, &delta);
    hr_delta_fini(&delta);
    return waiting;
}

static PyObject *engine_tell(PyObject *self, PyObject *cursor)
{
    core_engine *engine = (core_engine *)self;
    hr_bytes text;
    hr_cursor upto;
    if (!core_text(cursor, &text) || hr_cursor_parse(text, &upto) != HR_OK)
        return core_raise(HR_INVALID, cursor);
    hr_journal_tell(engine->journal, upto);
    atomic_fetch_add(&engine->generation, 2);
    Py_RETURN_NONE;
}

static PyObject *engine_sync(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    if (engine->watch)
        hr_watch_sync(engine->watch);
    Py_RETURN_NONE;
}

static PyObject *engine_is_synced(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    return PyBool_FromLong(!engine->watch || hr_watch_is_synced(engine->watch));
}

/* Subscriptions, notes, figures. */

static PyObject *engine_subscribe(PyObject *self, PyObject *unused)
{
    int fd;
    hr_status status = hr_journal_subscribe(((core_engine *)self)->journal, &fd);
    return status == HR_OK ? PyLong_FromLong(fd) : core_raise(status, NULL);
}

static PyObject *engine_unsubscribe(PyObject *self, PyObject *descriptor)
{
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    hr_journal_unsubscribe(((core_engine *)self)->journal, (int)fd);
    Py_RETURN_NONE;
}

static int append_note(PyObject *list, hr_level level, PyObject *text)
{
    PyObject *pair = text ? Py_BuildValue("(iN)", (int)level, text) : NULL;
    int failed = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    return failed;
}

static PyObject *engine_take_notes(PyObject *self, PyObject *unused)
{
    size_t lost;
    core_note *note = core_notes_take(((core_engine *)self)->notes, &lost);
    PyObject *list = PyList_New(0);
    int failed = list ? 0 : -1;
    while (note) {
        core_note *next = note->next;
        if (!failed) {
            PyObject *text =
                PyUnicode_DecodeUTF8(note->text, (Py_ssize_t)strlen(note->text), "replace");
            failed = append_note(list, note->level, text);
        }
        free(note);
        note = next;
    }
    if (!failed && lost)
        failed = append_note(list, HR_LEVEL_WARNING,
                             PyUnicode_FromFormat("%zu messages of the watcher were lost", lost));
    if (failed)
        Py_CLEAR(list);
    return list;
}

static PyStructSequence_Field stats_fields[] = {
    {"directories", "known now"},
    {"files", "known now"},
    {"polled_directories", "of directories, those without native events"},
    {"wakeups", "how often the watcher's thread has been woken"},
    {"batches", "delivered"},
    {"ready", "the first look at every root is over"},
    {0},
};

PyStructSequence_Desc core_stats_desc = {
    .name = "starlette_hot_reload._core.Stats",
    .doc = "What an engine's watcher has seen.",
    .fields = stats_fields,
    .n_in_sequence = 6,
};

static PyObject *engine_stats(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    hr_watch_stats stats = engine->watch ? hr_watch_get_stats(engine->watch) : engine->last_stats;
    PyObject *out = PyStructSequence_New(core_state_of(self)->stats_type);
    if (!out)
        return NULL;
    const uint64_t figures[] = {stats.directories, stats.files, stats.polled_directories,
                                stats.wakeups, stats.batches};
    for (int i = 0; i < 5; i++)
        PyStructSequence_SetItem(out, i, PyLong_FromUnsignedLongLong(figures[i]));
    PyStructSequence_SetItem(out, 5, PyBool_FromLong(stats.ready));
    if (PyErr_Occurred())
        Py_CLEAR(out);
    return out;
}

/* What hr_watch_get_root_stats() says of each root. */
static PyObject *engine_roots(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && engine->watch && i < engine->root_count; i++) {
        hr_root_stats root = hr_watch_get_root_stats(engine->watch, (uint32_t)i);
        PyObject *item = Py_BuildValue(
            "(KKKKIz)", (unsigned long long)root.directories, (unsigned long long)root.files,
            (unsigned long long)root.polled_directories, (unsigned long long)root.swept_directories,
            root.why, root.file_system);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* (microseconds since 1970, microseconds it took, number of changes, the event of the first ones)
 */
static PyObject *past_tuple(const core_engine *engine, const core_past *past)
{
    const hr_delta delta = {.kind = HR_SINCE_CHANGES, .batch = past->batch};
    hr_buffer frame = {0};
    hr_status status = hr_wire_changes(engine->wire, &delta, &frame);
    PyObject *tuple =
        status == HR_OK
            ? Py_BuildValue("(LKny#)", (long long)past->batch.unix_us,
                            (unsigned long long)(past->batch.settled_us - past->batch.first_us),
                            (Py_ssize_t)past->count, frame.data, (Py_ssize_t)frame.size)
            : core_raise(status, NULL);
    hr_buffer_fini(&frame);
    return tuple;
}

static PyObject *engine_take_batches(PyObject *self, PyObject *unused)
{
    core_engine *engine = (core_engine *)self;
    core_past *past = core_history_take(engine->history);
    PyObject *list = PyList_New(0);
    while (past) {
        core_past *next = past->next;
        PyObject *tuple = list ? past_tuple(engine, past) : NULL;
        if (list && (!tuple || PyList_Append(list, tuple) < 0))
            Py_CLEAR(list);
        Py_XDECREF(tuple);
        free(past);
        past = next;
    }
    return list;
}

static PyMethodDef engine_methods[] = {
    {"start", engine_start, METH_NOARGS, PyDoc_STR("Start the watcher's thread.")},
    {"stop", engine_stop, METH_NOARGS, PyDoc_STR("Join the watcher's thread and wake all.")},
    {"wait_ready", engine_wait_ready, METH_O,
     PyDoc_STR("Wait, at most so many seconds, until the first look is over.")},
    {"now", engine_now, METH_NOARGS, PyDoc_STR("The cursor of this moment.")},
    {"hello", engine_hello, METH_VARARGS,
     PyDoc_STR("(frame, cursor) to begin a stream with, from a client's cursor or None.")},
    {"since", engine_since, METH_O,
     PyDoc_STR("(frame, cursor): what changed since; the frame is empty if nothing did.")},
    {"hold", engine_hold, METH_O, PyDoc_STR("Whether what is found from now on waits.")},
    {"waiting", engine_waiting, METH_O,
     PyDoc_STR("(event, [(root, path)], cursor) of what waits since a cursor of this, or None; an "
               "empty event: too much.")},
    {"sync", engine_sync, METH_NOARGS,
     PyDoc_STR("Have the subscribers woken once all that has happened so far is found.")},
    {"is_synced", engine_is_synced, METH_NOARGS, PyDoc_STR("Whether every sync() is done.")},
    {"tell", engine_tell, METH_O, PyDoc_STR("Tell what has waited up to a cursor of waiting().")},
    {"shutdown_frame", engine_shutdown_frame, METH_NOARGS,
     PyDoc_STR("The event that says that the server will not be back.")},
    {"subscribe", engine_subscribe, METH_NOARGS,
     PyDoc_STR("A descriptor that becomes readable when something is pushed.")},
    {"unsubscribe", engine_unsubscribe, METH_O, PyDoc_STR("Close a descriptor of subscribe().")},
    {"take_notes", engine_take_notes, METH_NOARGS,
     PyDoc_STR("What the watcher has to say since the last call: [(level, text)].")},
    {"stats", engine_stats, METH_NOARGS, PyDoc_STR("Figures of the watcher.")},
    {"roots", engine_roots, METH_NOARGS,
     PyDoc_STR("Of each root (directories, files, polled ones, swept ones, why, file system); none "
               "once stopped.")},
    {"take_batches", engine_take_batches, METH_NOARGS,
     PyDoc_STR("The last batches since the last call: [(unix_us, took_us, count, event)].")},
    {0},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "A watch, a journal and a wire."},
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {0},
};

PyType_Spec core_engine_spec = {
    .name = "starlette_hot_reload._core.Engine",
    .basicsize = sizeof(core_engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = engine_slots,
};
