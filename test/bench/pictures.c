/*
 * Pictures for the bench, 30 a second of 100 KB.
 *
 *   pictures print                                   as a camera program prints them
 *   pictures send PORT                               as little as a server can do: the same pictures in parts, to everybody who connects; who is
 *                                                    behind misses some
 *   pictures view PORT PATH VIEWERS STALLED WARM SECONDS    viewers, and some that read nothing. Says "begin", then "end BYTES SECONDS"
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE 100000
#define INTERVAL 33333333LL
#define MOST 4096

static unsigned char picture[SIZE];

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* Markers and lengths as they must be, and data in which every 250th byte is an FF. */
static void draw(void) {
  static const unsigned char head[] = {0xff, 0xd8, 0xff, 0xdb, 0, 4, 1, 1, 0xff, 0xda, 0, 4, 1, 1};
  memset(picture, 0x55, SIZE);
  for (int at = 500; at < SIZE - 2; at += 250) picture[at] = 0xff, picture[at + 1] = 0;
  memcpy(picture, head, sizeof head);
  picture[SIZE - 2] = 0xff, picture[SIZE - 1] = 0xd9;
}

static void print(void) {
  for (long long due = now();; due += INTERVAL) {
    long long left = due - now();
    if (left > 0) nanosleep(&(struct timespec){left / 1000000000, left % 1000000000}, NULL);
    for (int at = 0; at < SIZE;) {
      ssize_t n = write(1, picture + at, SIZE - at);
      if (n <= 0) exit(0);
      at += n;
    }
  }
}

static struct sockaddr_in place(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static void send_all(int port) {
  static struct pollfd fds[MOST];
  static int at[MOST];
  static char part[SIZE + 200];
  int n = sprintf(part, "Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", SIZE);
  memcpy(part + n, picture, SIZE);
  n += SIZE;
  n += sprintf(part + n, "\r\n--b\r\n");
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n--b\r\n";
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = place(port);
  if (bind(listener, (void *)&a, sizeof a) || listen(listener, MOST)) die("listen");
  int count = 1;
  fds[0] = (struct pollfd){listener, POLLIN, 0};
  for (long long due = now() + INTERVAL;;) {
    long long left = due - now();
    if (left <= 0) {
      due += INTERVAL;
      for (int i = 1; i < count; i++)
        if (at[i] == n) at[i] = 0, fds[i].events = POLLOUT, fds[i].revents = POLLOUT;
    } else if (poll(fds, count, left / 1000000 + 1) < 0) die("poll");
    for (int i = count - 1; i > 0; i--) {
      if (fds[i].fd < 0 || !(fds[i].revents & (POLLOUT | POLLHUP | POLLERR))) continue;
      while (at[i] < n) {
        ssize_t sent = send(fds[i].fd, part + at[i], n - at[i], MSG_NOSIGNAL);
        if (sent > 0) at[i] += sent;
        else if (errno == EAGAIN) break;
        else {
          close(fds[i].fd);
          fds[i].fd = -1;
          break;
        }
      }
      fds[i].events = at[i] < n ? POLLOUT : 0;
      fds[i].revents = 0;
    }
    for (int c; (fds[0].revents & POLLIN) && count < MOST && (c = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
      send(c, head, sizeof head - 1, MSG_NOSIGNAL);
      fds[count] = (struct pollfd){c, 0, 0};
      at[count++] = n;
    }
  }
}

static void view(int port, const char *path, int viewers, int stalled, double warm, double seconds) {
  static struct pollfd fds[MOST];
  static char buffer[1 << 18];
  char request[500];
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: image/*\r\n\r\n", path, port);
  struct sockaddr_in a = place(port);
  for (int i = 0; i < viewers + stalled; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&a, sizeof a) || write(fd, request, length) != length) die("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fds[i] = (struct pollfd){fd, POLLIN, 0};
  }
  long long begin = now() + warm * 1e9, end = begin + seconds * 1e9, bytes = 0;
  for (int begun = 0;;) {
    long long time = now();
    if (time >= end) break;
    if (!begun && time >= begin) {
      begun = 1, bytes = 0;
      puts("begin");
      fflush(stdout);
    }
    if (poll(fds, viewers, 100) < 0) die("poll");
    for (int i = 0; i < viewers; i++)
      if (fds[i].revents) {
        ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
        if (n > 0) bytes += n;
        else if (n == 0 || errno != EAGAIN) fds[i].fd = -1;
      }
  }
  printf("end %lld %f\n", bytes, seconds);
  fflush(stdout);
  /* Nobody leaves before the server's figures are read. */
  getchar();
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  draw();
  if (argc == 2 && !strcmp(argv[1], "print")) print();
  if (argc == 3 && !strcmp(argv[1], "send")) send_all(atoi(argv[2]));
  if (argc != 8 || strcmp(argv[1], "view")) return 2;
  view(atoi(argv[2]), argv[3], atoi(argv[4]), atoi(argv[5]), atof(argv[6]), atof(argv[7]));
  return 0;
}
