"""The directory, served and watched by livereload with its default settings.

livereload_site.py DIRECTORY PORT
"""

from __future__ import annotations

import sys

from livereload import Server


def main() -> None:
    directory, port = sys.argv[1:]
    server = Server()
    server.watch(directory)
    server.serve(port=int(port), host="127.0.0.1", root=directory)


if __name__ == "__main__":
    main()
