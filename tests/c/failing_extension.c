/*
 * To be preloaded into a Python that allocates with malloc(): makes one allocation of an extension
 * fail, in the thread that asks or in every other, and none of anybody else's. An allocation is the
 * extension's if its code is nearer on the stack than the interpreter's loop: so what CPython
 * allocates for it counts, and what the Python code allocates that it calls does not.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

enum { DEPTH = 64 };

typedef struct range {
    uintptr_t begin;
    uintptr_t end;
} range;

static range extension, loop;
static const char *extension_path;

/* Of the thread that began, or else of the only other one; nobody else changes them. */
static pthread_t thread;
static bool is_elsewhere, is_on, is_looking;
static size_t count, failing, live;
static void *stack[DEPTH];
static int depth;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t members, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

PUBLIC bool failing_prepare(const char *path);
PUBLIC void failing_begin(size_t index, bool elsewhere);
PUBLIC size_t failing_end(void);
PUBLIC size_t failing_live(void);
PUBLIC bool failing_stack(char *out, size_t size);

/* Preparation. */

static bool holds(const range *where, const void *address)
{
    return (uintptr_t)address >= where->begin && (uintptr_t)address < where->end;
}

static int find_extension(struct dl_phdr_info *info, size_t size, void *unused)
{
    if (strcmp(info->dlpi_name, extension_path) != 0)
        return 0;
    extension = (range){UINTPTR_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
            continue;
        uintptr_t begin = info->dlpi_addr + header->p_vaddr;
        if (begin < extension.begin)
            extension.begin = begin;
        if (begin + header->p_memsz > extension.end)
            extension.end = begin + header->p_memsz;
    }
    return 1;
}

static bool find_loop(void)
{
    void *function = dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    if (!function || !dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
        return false;
    loop = (range){(uintptr_t)function, (uintptr_t)function + symbol->st_size};
    return true;
}

bool failing_prepare(const char *path)
{
    extension_path = path;
    stack[0] = NULL;
    backtrace(stack, 1); /* the first one allocates */
    return dl_iterate_phdr(find_extension, NULL) == 1 && find_loop();
}

/* One run. */

void failing_begin(size_t index, bool elsewhere)
{
    thread = pthread_self();
    is_elsewhere = elsewhere;
    count = 0;
    failing = index;
    depth = 0;
    is_on = true;
}

size_t failing_end(void)
{
    is_on = false;
    return count;
}

size_t failing_live(void)
{
    return live;
}

bool failing_stack(char *out, size_t size)
{
    size_t used = 0;
    *out = '\0';
    for (int i = 0; i < depth && !holds(&loop, stack[i]); i++) {
        Dl_info info = {0};
        dladdr(stack[i], &info);
        const char *base = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
        int wrote = snprintf(out + used, size - used, "%s %s+%#zx\n",
                             info.dli_sname ? info.dli_sname : "?", base ? base + 1 : "?",
                             (size_t)((uintptr_t)stack[i] - (uintptr_t)info.dli_fbase));
        if (wrote < 0 || (size_t)wrote >= size - used)
            break;
        used += (size_t)wrote;
    }
    return depth > 0;
}

/* Allocation. */

static bool is_ours(void **frames, int size)
{
    for (int i = 0; i < size; i++) {
        if (holds(&extension, frames[i]))
            return true;
        if (holds(&loop, frames[i]))
            return false;
    }
    return false;
}

static bool fails(void)
{
    void *frames[DEPTH];
    if (!is_on || !pthread_equal(thread, pthread_self()) != is_elsewhere || is_looking)
        return false;
    is_looking = true;
    int size = backtrace(frames, DEPTH);
    bool now = is_ours(frames, size) && count++ == failing;
    is_looking = false;
    if (!now)
        return false;
    memcpy(stack, frames, (size_t)size * sizeof *frames);
    depth = size;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

PUBLIC void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

PUBLIC void *calloc(size_t members, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(members, size));
}

PUBLIC void *realloc(void *memory, size_t size)
{
    if (fails())
        return NULL;
    return memory ? __libc_realloc(memory, size) : counted(__libc_realloc(NULL, size));
}

PUBLIC void free(void *memory)
{
    live -= memory != NULL;
    __libc_free(memory);
}
