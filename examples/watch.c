/* Watches a folder and prints what changes in it, batch by batch: watch FOLDER. Ctrl-C ends it. */
#include <hotreload.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called on the watcher's thread, once for each settled batch. */
static void print_batch(void *user, const hr_batch *batch)
{
    printf("%zu changed, %.1f ms after the first sign\n", batch->count,
           (double)(batch->settled_us - batch->first_us) / 1000);
    for (size_t i = 0; i < batch->count; i++)
        printf("  %-8s %.*s\n", hr_op_text(batch->changes[i].op), (int)batch->changes[i].path.size,
               batch->changes[i].path.data);
    fflush(stdout);
}

static void print_note(void *user, hr_level level, const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static int fail(const char *what, hr_status status)
{
    fprintf(stderr, "watch: %s: %s\n", what, hr_status_text(status));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX];
    if (argc != 2 || !realpath(argv[1], folder)) {
        fprintf(stderr, "usage: watch FOLDER\n");
        return EXIT_FAILURE;
    }

    const hr_watch_options options = {.on_batch = print_batch, .on_note = print_note};
    hr_watch *watch;
    hr_status status = hr_watch_new(&options, &watch);
    if (status != HR_OK)
        return fail("cannot begin", status);

    uint32_t root;
    status = hr_watch_add_root(watch, (hr_bytes){folder, strlen(folder)}, &root);
    if (status == HR_OK)
        status = hr_watch_start(watch);
    if (status == HR_OK) {
        sigset_t interrupts;
        int signal;
        sigemptyset(&interrupts);
        sigaddset(&interrupts, SIGINT);
        sigaddset(&interrupts, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &interrupts, NULL);
        sigwait(&interrupts, &signal);
    }
    hr_watch_free(watch);
    return status == HR_OK ? EXIT_SUCCESS : fail(folder, status);
}
