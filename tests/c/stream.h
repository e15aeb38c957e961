/* A reader of event streams for tests, written from the HTML standard's "Interpreting an event
 * stream", for one whole event at the beginning of `text`. */
#ifndef STREAM_H
#define STREAM_H

#include <stdio.h>
#include <string.h>

struct event {
    char event[64];
    char id[64];
    char data[16384];
    size_t data_size;
    size_t data_lines;
    long retry;
    size_t comments;
    size_t size; /* of the text, with the empty line at its end; 0: there is no such line */
};

static inline void event_field(struct event *event, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    size_t name = colon ? (size_t)(colon - line) : size;
    const char *value = colon ? colon + 1 : line + size;
    if (colon && value < line + size && *value == ' ')
        value++;
    size_t length = (size_t)(line + size - value);
    if (colon == line) {
        event->comments++;
    } else if (name == 5 && memcmp(line, "event", 5) == 0) {
        snprintf(event->event, sizeof event->event, "%.*s", (int)length, value);
    } else if (name == 2 && memcmp(line, "id", 2) == 0) {
        snprintf(event->id, sizeof event->id, "%.*s", (int)length, value);
    } else if (name == 5 && memcmp(line, "retry", 5) == 0) {
        char digits[24];
        snprintf(digits, sizeof digits, "%.*s", (int)length, value);
        sscanf(digits, "%ld", &event->retry);
    } else if (name == 4 && memcmp(line, "data", 4) == 0 &&
               event->data_size + length + 1 < sizeof event->data) {
        if (event->data_lines++)
            event->data[event->data_size++] = '\n';
        memcpy(event->data + event->data_size, value, length);
        event->data_size += length;
    }
}

static inline struct event event_read(const char *text, size_t size)
{
    struct event event = {.retry = -1};
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && text[end] != '\n' && text[end] != '\r')
            end++;
        size_t next = end + 1;
        if (end + 1 < size && text[end] == '\r' && text[end + 1] == '\n')
            next++;
        if (end == size) /* a line that is not ended */
            break;
        if (end == at) {
            event.size = next;
            break;
        }
        event_field(&event, text + at, end - at);
        at = next;
    }
    event.data[event.data_size] = '\0';
    return event;
}

#endif
