/*
 * Visits to a WebSocket behind which every client has a program of its own that echoes lines: connected, one message sent, its echo read, closed, and
 * read to the end. PARALLEL of them at any time, each a thread that waits, which costs least where a visit takes milliseconds.
 *
 *   visits PORT PATH PARALLEL WARM-UP SECONDS
 *
 * Says on its standard output, one JSON object a line: {"kind":"begin"} and {"kind":"end",...}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of one thread; further times of a run are left out. */
enum { MOST = 200000, PARALLELS = 64 };

struct visitor {
  pthread_t thread;
  size_t taken;
  uint32_t *times; /* microseconds */
};

static struct visitor visitors[PARALLELS];
static char request[512];
static int port, request_size;
static atomic_int measuring, over;
static atomic_ullong failures;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Reads until `end` stands there; 0 when it does not. */
static int read_to(int fd, char *space, size_t room, const char *end, size_t size) {
  for (size_t have = 0; have < room;) {
    ssize_t got = read(fd, space + have, room - have);
    if (got <= 0) return 0;
    have += (size_t)got;
    if (have >= size && memcmp(space + have - size, end, size) == 0) return 1;
  }
  return 0;
}

static int visit(void) {
  static const unsigned char message[] = {0x81, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}, close_frame[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval patience = {.tv_sec = 10};
  char space[1024];
  int on = 1, well = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, request, (size_t)request_size) == request_size &&
      read_to(fd, space, sizeof space, "\r\n\r\n", 4) && memcmp(space, "HTTP/1.1 101", 12) == 0 &&
      write(fd, message, sizeof message) == sizeof message && read_to(fd, space, sizeof space, "hello", 5) &&
      write(fd, close_frame, sizeof close_frame) == sizeof close_frame) {
    ssize_t got;
    while ((got = read(fd, space, sizeof space)) > 0) {
    }
    /* A reset is an end, too. */
    well = 1;
  }
  close(fd);
  return well;
}

static void *visit_on(void *argument) {
  struct visitor *visitor = argument;
  while (!over) {
    int counts = measuring;
    int64_t began = now_us();
    if (!visit()) failures++;
    else if (counts && measuring && visitor->taken < MOST) visitor->times[visitor->taken++] = (uint32_t)(now_us() - began);
  }
  return 0;
}

static int ascending(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static void pause_for(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, 0);
}

int main(int words, char **word) {
  if (words != 6) return 2;
  signal(SIGPIPE, SIG_IGN);
  port = atoi(word[1]);
  request_size = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          word[2], port);
  int parallel = atoi(word[3]);
  if (parallel < 1 || parallel > PARALLELS) return 2;
  for (int at = 0; at < parallel; at++) {
    visitors[at].times = malloc(MOST * sizeof(uint32_t));
    if (pthread_create(&visitors[at].thread, 0, visit_on, &visitors[at]) != 0) return 1;
  }
  pause_for(atof(word[4]));
  failures = 0;
  printf("{\"kind\":\"begin\"}\n");
  fflush(stdout);
  int64_t began = now_us();
  measuring = 1;
  pause_for(atof(word[5]));
  measuring = 0;
  double elapsed = (double)(now_us() - began) / 1e6;
  over = 1;
  size_t count = 0;
  for (int at = 0; at < parallel; at++) {
    pthread_join(visitors[at].thread, 0);
    count += visitors[at].taken;
  }
  uint32_t *times = malloc((count + 1) * sizeof *times);
  size_t have = 0;
  for (int at = 0; at < parallel; at++) {
    memcpy(times + have, visitors[at].times, visitors[at].taken * sizeof *times);
    have += visitors[at].taken;
  }
  qsort(times, count, sizeof *times, ascending);
  printf("{\"kind\":\"end\",\"visits\":%zu,\"rate\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"failed\":%llu}\n", count, (double)count / elapsed,
         count == 0 ? 0 : times[count / 2] / 1000.0, count == 0 ? 0 : times[(size_t)((double)count * 0.99)] / 1000.0,
         (unsigned long long)failures);
  return 0;
}
