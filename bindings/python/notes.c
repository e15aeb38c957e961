/* No Python in this file: the watcher's thread runs it without the GIL. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { NOTES_LIMIT = 256, NOTE_SIZE = 1024, NAMES_SHOWN = 3 };

struct core_notes {
    pthread_mutex_t mutex;
    core_note *first;
    core_note **last;
    size_t count;
    size_t lost;
};

core_notes *core_notes_new(void)
{
    core_notes *notes = calloc(1, sizeof *notes);
    if (!notes)
        return NULL;
    if (pthread_mutex_init(&notes->mutex, NULL) != 0) {
        free(notes);
        return NULL;
    }
    notes->last = &notes->first;
    return notes;
}

void core_notes_free(core_notes *notes)
{
    if (!notes)
        return;
    for (core_note *note = notes->first; note;) {
        core_note *next = note->next;
        free(note);
        note = next;
    }
    pthread_mutex_destroy(&notes->mutex);
    free(notes);
}

void core_notes_add(core_notes *notes, hr_level level, const char *text)
{
    size_t size = strlen(text) + 1;
    core_note *note = malloc(sizeof *note + size);
    if (note) {
        note->next = NULL;
        note->level = level;
        memcpy(note->text, text, size);
    }
    pthread_mutex_lock(&notes->mutex);
    if (note && notes->count < NOTES_LIMIT) {
        *notes->last = note;
        notes->last = &note->next;
        notes->count++;
        note = NULL;
    } else {
        notes->lost++;
    }
    pthread_mutex_unlock(&notes->mutex);
    free(note);
}

core_note *core_notes_take(core_notes *notes, size_t *lost)
{
    pthread_mutex_lock(&notes->mutex);
    core_note *first = notes->first;
    *lost = notes->lost;
    notes->first = NULL;
    notes->last = &notes->first;
    notes->count = 0;
    notes->lost = 0;
    pthread_mutex_unlock(&notes->mutex);
    return first;
}

/* Appends a file's name so that it cannot break the log's line. Returns the end. */
static char *append_name(char *at, const char *end, hr_bytes name)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < name.size && end - at > 4; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
            *at++ = (char)byte;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = digits[byte >> 4];
            *at++ = digits[byte & 15];
        }
    }
    return at;
}

void core_notes_batch(core_notes *notes, const hr_batch *batch)
{
    char text[NOTE_SIZE];
    const char *end = text + sizeof text - 32;
    char *at =
        text + snprintf(text, sizeof text, "%zu changed, settled after %.1f ms:", batch->count,
                        (double)(batch->settled_us - batch->first_us) / 1000.0);
    size_t shown = batch->count < NAMES_SHOWN ? batch->count : NAMES_SHOWN;
    for (size_t i = 0; i < shown && end - at > 2; i++) {
        *at++ = i ? ',' : ' ';
        if (i)
            *at++ = ' ';
        at = append_name(at, end, batch->changes[i].path);
    }
    if (shown < batch->count)
        at += snprintf(at, (size_t)(text + sizeof text - at), ", ...");
    *at = '\0';
    core_notes_add(notes, HR_LEVEL_DEBUG, text);
}
