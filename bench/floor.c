/*
 * The floor of every watcher on Linux: inotify to TCP, and nothing in between.
 * floor DIRECTORY PORT: one byte to 127.0.0.1:PORT when the watch stands, then one byte for each
 * file of the directory that is closed after writing. Ends with its parent, or with the socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_loopback(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: floor DIRECTORY PORT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);

    int out = connect_loopback(argv[2]);
    int in = inotify_init1(IN_CLOEXEC);
    if (out < 0 || in < 0 || inotify_add_watch(in, argv[1], IN_CLOSE_WRITE) < 0) {
        perror("floor");
        return 1;
    }
    if (send(out, "r", 1, MSG_NOSIGNAL) != 1)
        return 1;

    _Alignas(struct inotify_event) char buffer[65536];
    for (;;) {
        ssize_t size = read(in, buffer, sizeof buffer);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return 1;
        for (char *at = buffer; at < buffer + size;) {
            struct inotify_event event;
            memcpy(&event, at, sizeof event);
            at += sizeof event + event.len;
            if ((event.mask & IN_CLOSE_WRITE) && send(out, "s", 1, MSG_NOSIGNAL) != 1)
                return 0;
        }
    }
}
