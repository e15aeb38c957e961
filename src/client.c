#include <string.h>

#include "client_data.h"

const hr_client_file *hr_client_find(hr_bytes name)
{
    for (size_t i = 0; i < hr_client_file_count; i++) {
        const hr_client_file *file = &hr_client_files[i];
        if (file->name.size == name.size && memcmp(file->name.data, name.data, name.size) == 0)
            return file;
    }
    return NULL;
}
