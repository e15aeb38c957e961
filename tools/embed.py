"""Write the client's files into a C source: embed.py OUTPUT FILE..."""

import hashlib
import sys
from pathlib import Path

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    return f"{{{quoted(text)}, {len(text)}}}"


def main(output: str, *inputs: str) -> None:
    arrays: list[str] = []
    rows: list[str] = []
    for index, path in enumerate(map(Path, inputs)):
        content = path.read_bytes()
        numbers = ",".join(map(str, content))
        arrays.append(f"static const unsigned char content_{index}[] = {{{numbers}}};\n")
        etag = '"' + hashlib.sha256(content).hexdigest()[:16] + '"'
        rows.append(
            f"    {{{literal(path.name)}, {literal(MEDIA_TYPES[path.suffix])},\n"
            f"     {{(const char *)content_{index}, {len(content)}}}, {literal(etag)}}},\n"
        )
    Path(output).write_text(
        '#include "client_data.h"\n\n'
        + "".join(arrays)
        + "\nconst hr_client_file hr_client_files[] = {\n"
        + "".join(rows)
        + f"}};\nconst size_t hr_client_file_count = {len(rows)};\n"
    )


main(*sys.argv[1:])
