/*
 * Connections of one request each: opened, asked, read to their end. PARALLEL of them at any time, from one thread.
 *
 *   connections PORT PATH PARALLEL WARM-UP SECONDS
 *   tls-connections PORT PATH PARALLEL WARM-UP SECONDS VERSION full|resumed     VERSION: 1.2 or 1.3; compiled with -DTLS -lssl -lcrypto
 *
 * "resumed" offers each time the first session that the server has given. Certificates are not checked: that is the client's work.
 * Says on its standard output, one JSON object a line: {"kind":"begin"} and {"kind":"end",...}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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
static SSL_SESSION *session;
static int resume;
#endif

enum { EVENTS = 256, START = 12 };
enum stage { CONNECTING, SHAKING, READING };

struct connection {
  int fd;
  enum stage stage;
  int have;
  char start[START];
#ifdef TLS
  SSL *ssl;
#endif
};

static int epoll, port, request_size;
static char request[512];
static unsigned serial;
static unsigned long long done, failed, resumed;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void begin(struct connection *one) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  /* Many addresses: one has ports for some 28,000 connections a minute. */
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + serial++ % 200)};
  struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = one};
  int on = 1;
  one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  one->stage = CONNECTING;
  one->have = 0;
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(one->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (one->fd < 0 || bind(one->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
      (connect(one->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
    perror("connect");
    exit(1);
  }
#ifdef TLS
  one->ssl = SSL_new(context);
  SSL_set_fd(one->ssl, one->fd);
  SSL_set_connect_state(one->ssl);
  if (resume && session != 0) {
    /* OpenSSL makes one that was resumed useless as soon as the server gives another: a copy each. */
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    SSL_set_session(one->ssl, copy);
    SSL_SESSION_free(copy);
  }
#endif
  epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &interest);
}

/* Ends it and begins the next in its place. */
static void finish(struct connection *one) {
  if (one->have == START && memcmp(one->start, "HTTP/1.1 200", START) == 0) done++;
  else failed++;
#ifdef TLS
  if (SSL_session_reused(one->ssl)) resumed++;
  /* Else OpenSSL would not resume a session whose connection was ended by the server's FIN alone. */
  SSL_set_shutdown(one->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(one->ssl);
#endif
  close(one->fd);
  begin(one);
}

/* Goes on with it as far as it goes. */
static void step(struct connection *one) {
  static char space[65536];
  for (;;) {
    if (one->stage == CONNECTING) {
      int error = 0;
      socklen_t size = sizeof error;
      struct sockaddr_in peer;
      socklen_t length = sizeof peer;
      getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return finish(one);
      if (getpeername(one->fd, (struct sockaddr *)&peer, &length) < 0) return;
      one->stage = SHAKING;
    }
    if (one->stage == SHAKING) {
#ifdef TLS
      int got = SSL_do_handshake(one->ssl);
      if (got != 1) {
        int why = SSL_get_error(one->ssl, got);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
        return finish(one);
      }
      if (SSL_write(one->ssl, request, request_size) != request_size) return finish(one);
#else
      if (write(one->fd, request, (size_t)request_size) != request_size) return finish(one);
#endif
      one->stage = READING;
    }
#ifdef TLS
    int size = SSL_read(one->ssl, space, sizeof space);
    if (size <= 0) {
      int why = SSL_get_error(one->ssl, size);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
      return finish(one);
    }
#else
    ssize_t size = read(one->fd, space, sizeof space);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return finish(one);
#endif
    for (int at = 0; at < size && one->have < START; at++) one->start[one->have++] = space[at];
  }
}

static void run_for(double seconds) {
  static struct epoll_event events[EVENTS];
  for (double until = now() + seconds; now() < until;) {
    int ready = epoll_wait(epoll, events, EVENTS, 20);
    for (int at = 0; at < ready; at++) step(events[at].data.ptr);
  }
}

#ifdef TLS
static int keep(SSL *ssl, SSL_SESSION *given) {
  (void)ssl;
  if (session != 0) return 0;
  session = given;
  return 1;
}

static void prepare(char **word) {
  int version = strcmp(word[6], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
  context = SSL_CTX_new(TLS_client_method());
  resume = strcmp(word[7], "resumed") == 0;
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256");
  /* A server that ends with FIN and no close_notify would otherwise cost its session. */
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep);
}
#endif

int main(int words, char **word) {
#ifdef TLS
  if (words != 8) return 2;
  prepare(word);
#else
  if (words != 6) return 2;
#endif
  port = atoi(word[1]);
  request_size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n", word[2], port);
  epoll = epoll_create1(0);
  int parallel = atoi(word[3]);
  struct connection *all = calloc((size_t)parallel, sizeof *all);
  for (int at = 0; at < parallel; at++) begin(&all[at]);
  run_for(atof(word[4]));
  printf("{\"kind\":\"begin\"}\n");
  fflush(stdout);
  done = failed = resumed = 0;
  double before = cpu(), began = now();
  run_for(atof(word[5]));
  double elapsed = now() - began;
  printf("{\"kind\":\"end\",\"connections\":%llu,\"rate\":%.1f,\"failed\":%llu,\"resumed\":%.4f,\"share\":%.4f}\n", done, (double)done / elapsed,
         failed, done == 0 ? 0 : (double)resumed / (double)done, (cpu() - before) / elapsed);
  return 0;
}
