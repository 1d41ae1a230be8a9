/*
 * Many viewers of one stream, by WebSocket or, where PATH begins with "events:", by event streams, with as little work for each message as can be: the servers under measurement share the machine.
 *
 *   viewers PORT PATH COUNT WARM-UP SECONDS   watches what ticker.c prints; checks that every line comes, once and in order
 *   viewers PORT PATH COUNT                   only stays connected, until its standard input ends
 *
 * Compiled with -DTLS -lssl -lcrypto it speaks TLS, and checks no certificate. With TLS 1.3 it has one suite, so that all servers encrypt alike.
 *
 * Says on its standard output, one JSON object a line: {"kind":"connected",...}, then for the first form {"kind":"begin"} and {"kind":"end",...}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

/* Microseconds until all must be connected: a server that cannot keep up does not hold up the run. */
enum { PATIENCE = 120000000 };
/* So many connect at a time: each waits for a server that is busy with those that are there. */
enum { CONNECTING = 16 };
enum { HEAD = 2, LARGEST = 125, NUMBER = 10, EVENTS = 512 };

struct viewer {
  int fd;
#ifdef TLS
  SSL *ssl;
#endif
  uint32_t last;      /* the number of the newest line */
  uint8_t have;       /* bytes of an unfinished frame */
  char rest[HEAD + LARGEST];
};

static struct viewer *viewers;
static char space_for_input[16];
static int count, epoll, port, gone, measuring, events_wanted;
static atomic_int begun, failures, connecting;
static const char *path;
static int64_t began;
static uint64_t received, lost, wrong;
static uint32_t *delays; /* microseconds */
static size_t delays_taken, delays_room;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static uint64_t digits(const char *at, int size) {
  uint64_t value = 0;
  while (size--) value = value * 10 + (uint64_t)(*at++ - '0');
  return value;
}

/* Like read(2) and write(2): -1 with EAGAIN where there is nothing yet. */
static ssize_t take(struct viewer *viewer, char *into, size_t room) {
#ifdef TLS
  size_t have = 0;
  /* A record brings 16 KiB at most: until there is no more of them. */
  while (have < room) {
    int size = SSL_read(viewer->ssl, into + have, (int)(room - have));
    if (size > 0) {
      have += (size_t)size;
      if (room == 1) break;
      continue;
    }
    if (have > 0) break;
    int why = SSL_get_error(viewer->ssl, size);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return 0;
    errno = EAGAIN;
    return -1;
  }
  return (ssize_t)have;
#else
  return read(viewer->fd, into, room);
#endif
}

static ssize_t give(struct viewer *viewer, const void *bytes, size_t size) {
#ifdef TLS
  return SSL_write(viewer->ssl, bytes, (int)size);
#else
  return write(viewer->fd, bytes, size);
#endif
}

static void leave(struct viewer *viewer) {
#ifdef TLS
  SSL_free(viewer->ssl);
  viewer->ssl = 0;
#endif
  if (viewer->fd >= 0) close(viewer->fd);
  viewer->fd = -1;
}

static int open_viewer(struct viewer *viewer) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval patience = {.tv_sec = 10};
  char text[1024];
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, size, have = 0;
  viewer->fd = fd;
  if (fd < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", path, port,
                  events_wanted ? "Accept: text/event-stream\r\n"
                                : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) goto failed;
#ifdef TLS
  viewer->ssl = SSL_new(context);
  SSL_set_fd(viewer->ssl, fd);
  if (SSL_connect(viewer->ssl) != 1) goto failed;
#endif
  if (give(viewer, text, (size_t)size) != size) goto failed;
  /* Byte by byte, so that the first frame stays where it is. */
  while (have < 4 || memcmp(text + have - 4, "\r\n\r\n", 4) != 0)
    if (have == sizeof text || take(viewer, text + have++, 1) != 1) goto failed;
  if (memcmp(text, events_wanted ? "HTTP/1.1 200" : "HTTP/1.1 101", 12) != 0) goto failed;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return 0;
failed:
  leave(viewer);
  return -1;
}

/* A thread of its own: takes the next one until there is none. */
static void *open_viewers(void *unused) {
  (void)unused;
  for (int at = begun++; at < count; at = begun++) {
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = &viewers[at]};
    if (now_us() - began > PATIENCE || open_viewer(&viewers[at]) < 0) failures++;
    else epoll_ctl(epoll, EPOLL_CTL_ADD, viewers[at].fd, &interest);
  }
  connecting--;
  return 0;
}

static void line(struct viewer *viewer, const char *text, int64_t at) {
  uint32_t number = (uint32_t)digits(text, NUMBER);
  if (viewer->last != 0 && number != viewer->last + 1) {
    if (number > viewer->last) lost += number - viewer->last - 1;
    else wrong++;
  }
  viewer->last = number;
  if (!measuring) return;
  received++;
  /* Every tenth viewer's. */
  if ((viewer - viewers) % 10 == 0 && delays_taken < delays_room)
    delays[delays_taken++] = (uint32_t)(at - (int64_t)digits(text + NUMBER + 1, 16));
}

/* Whatever lies around it, chunks and other fields, a line is what stands behind this and begins with its number. Gives how much of the bytes is done with. */
static size_t event_lines(struct viewer *viewer, const char *from, size_t size, int64_t at) {
  enum { FIELD = 6, WHOLE = FIELD + NUMBER + 17 };
  const char *start = from, *end = from + size;
  for (;;) {
    const char *found = memmem(from, (size_t)(end - from), "data: ", FIELD);
    if (found == 0) {
      size_t left = (size_t)(end - from);
      return size - (left < FIELD ? left : FIELD - 1);
    }
    if (end - found < WHOLE) return (size_t)(found - start);
    /* A ping's data is a number, too. */
    if (found[FIELD] >= '0' && found[FIELD] <= '9' && found[FIELD + NUMBER] == ' ') line(viewer, found + FIELD, at);
    from = found + FIELD;
  }
}

static void readable(struct viewer *viewer) {
  static char space[HEAD + LARGEST + 65536];
  static const unsigned char pong[6] = {0x8a, 0x80, 0, 0, 0, 0};
  memcpy(space, viewer->rest, viewer->have);
  ssize_t size = take(viewer, space + viewer->have, 65536);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    gone++;
    leave(viewer);
    return;
  }
  int64_t at = now_us();
  char *from = space, *end = space + viewer->have + size;
  if (events_wanted) from += event_lines(viewer, space, (size_t)(end - space), at);
  else
  while (end - from >= HEAD && end - from >= HEAD + (from[1] & 0x7f)) {
    unsigned char kind = (unsigned char)from[0], length = (unsigned char)from[1];
    if (length > LARGEST) exit(3);
    if (kind == 0x81 && length > NUMBER + 17) line(viewer, from + HEAD, at);
    else if (kind == 0x89 && give(viewer, pong, sizeof pong) < 0) wrong++;
    from += HEAD + length;
  }
  viewer->have = (uint8_t)(end - from);
  memcpy(viewer->rest, from, viewer->have);
  /* OpenSSL may hold more, of which epoll knows nothing. */
  if (size == 65536) readable(viewer);
}

static void turn(int milliseconds) {
  static struct epoll_event events[EVENTS];
  int ready = epoll_wait(epoll, events, EVENTS, milliseconds);
  for (int at = 0; at < ready; at++) {
    if (events[at].data.ptr == 0) exit(0);
    readable(events[at].data.ptr);
  }
}

static int ascending(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static double percentile_ms(double share) {
  size_t at = (size_t)((double)delays_taken * share);
  return delays_taken == 0 ? 0 : delays[at < delays_taken ? at : delays_taken - 1] / 1000.0;
}

static double cpu(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void run_for(double seconds) {
  int64_t until = now_us() + (int64_t)(seconds * 1e6);
  while (now_us() < until) turn(20);
}

int main(int words, char **word) {
  struct rlimit files;
  if (words != 4 && words != 6) return 2;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  count = atoi(word[3]);
#ifdef TLS
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
#endif
  /* A server that closes one is counted, and no end. */
  signal(SIGPIPE, SIG_IGN);
  port = atoi(word[1]);
  path = word[2];
  if (strncmp(path, "events:", 7) == 0) {
    events_wanted = 1;
    path += 7;
  }
  viewers = calloc((size_t)count, sizeof *viewers);
  epoll = epoll_create1(0);
  began = now_us();
  connecting = CONNECTING;
  for (int at = 0; at < CONNECTING; at++) {
    pthread_t thread;
    if (pthread_create(&thread, 0, open_viewers, 0) != 0) return 1;
    pthread_detach(thread);
  }
  while (connecting > 0) turn(20);
  printf("{\"kind\":\"connected\",\"failures\":%d,\"seconds\":%.3f}\n", failures, (double)(now_us() - began) / 1e6);
  fflush(stdout);
  if (words == 4) {
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = 0};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
    for (;;) turn(-1);
  }
  run_for(atof(word[4]));
  double seconds = atof(word[5]);
  delays_room = (size_t)(seconds * 200 * (count / 10 + 1));
  delays = malloc(delays_room * sizeof *delays);
  printf("{\"kind\":\"begin\"}\n");
  fflush(stdout);
  measuring = 1;
  double before = cpu();
  began = now_us();
  run_for(seconds);
  double elapsed = (double)(now_us() - began) / 1e6, used = cpu() - before;
  measuring = 0;
  qsort(delays, delays_taken, sizeof *delays, ascending);
  printf("{\"kind\":\"end\",\"deliveries\":%llu,\"rate\":%.1f,\"p50\":%.3f,\"p99\":%.3f,\"lost\":%llu,\"share\":%.4f}\n",
         (unsigned long long)received, (double)received / elapsed, percentile_ms(0.5), percentile_ms(0.99),
         (unsigned long long)(lost + wrong + (uint64_t)(gone + failures)), used / elapsed);
  fflush(stdout);
  /* Until it has been seen what the server looks like with all of them. */
  while (read(0, space_for_input, sizeof space_for_input) > 0) {
  }
  return 0;
}
