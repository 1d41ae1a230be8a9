/*
 * Prints 100 lines a second of 100 bytes each: its number in 10 digits, a space, the time in 16 digits (microseconds of CLOCK_MONOTONIC), and filling.
 * BURST of them come together, each in a write of its own, at a steady pace. With the path of a Unix socket it posts each line to /pub there instead,
 * for a server that starts no programs.
 *
 *   ticker BURST [SOCKET]
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, PERIOD = 10000000 };

static int connection(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) exit(1);
  return fd;
}

int main(int count, char **words) {
  int burst = count > 1 ? atoi(words[1]) : 1, posts = count > 2, fd = posts ? connection(words[2]) : 1;
  char line[LINE + 2], request[400], answer[4096];
  struct timespec due, now;
  clock_gettime(CLOCK_MONOTONIC, &due);
  for (unsigned number = 1;; number++) {
    /* All of a burst have the time of its beginning: who has to wait for the answer to one must not have its wait left out of the next one's delay. */
    if ((number - 1) % (unsigned)burst == 0) clock_gettime(CLOCK_MONOTONIC, &now);
    int head = snprintf(line, sizeof line, "%010u %016lld ", number, now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    memset(line + head, 'x', LINE - head);
    line[LINE] = '\n';
    if (posts) {
      int size = snprintf(request, sizeof request, "POST /pub HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%.*s", LINE, LINE, line);
      if (write(fd, request, size) != size || read(fd, answer, sizeof answer) <= 0) return 1;
    } else if (write(fd, line, LINE + 1) != LINE + 1) return 0;
    if (number % (unsigned)burst != 0) continue;
    due.tv_nsec += (long)PERIOD * burst;
    while (due.tv_nsec >= 1000000000) due.tv_sec++, due.tv_nsec -= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, 0);
  }
}
