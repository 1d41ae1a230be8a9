/*
 * Starts the gateway's programs, reaps them and signals their groups; and when the gateway is gone, ends them. A process of its own, so that a
 * start copies nothing and waits for nobody: it is small, has one thread, and does one thing at a time. It uses no C library.
 *
 *   descriptor 0   SOCK_SEQPACKET: requests, one a packet (`struct request`), with a program's descriptors. Its end is the gateway's.
 *   descriptor 1   a pipe: answers (`struct answer`).
 *
 * The gateway numbers what it starts by slots of a table, a file in memory that comes with the first request and that the gateway reads when this
 * process has been killed. It uses a slot again when it has been told that it is free.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What `src/process/starter/protocol.ts` has, too. */
enum { SLOTS = 131072, PACKET_BYTES = 32 << 10, LARGE_BYTES = 8 << 20 };
enum { TABLE = 1, START = 2, SIGNAL = 3, GUARD = 4, FORGET = 5 };
/* Its descriptors come in this order; without the first two it gets /dev/null. LARGE: the strings are in a file, the last descriptor. */
enum { HAS_INPUT = 1, HAS_ERROR = 2, HAS_DIRECTORY = 4, BRIEF = 8, LARGE = 16 };
enum { READY = 1, STARTED = 2, FAILED = 3, EXITED = 4, LEFT = 5, EMPTY = 6 };

struct request {
  uint32_t kind;
  uint32_t slot;
  /* Of START: what is given. Of SIGNAL: its number. Of GUARD: a group. */
  uint32_t value;
  uint32_t arguments;
  uint32_t variables;
  /* Bits of capabilities(7) that are to be ambient in it. */
  uint32_t capabilities;
  /* Bytes of the strings: file, directory if there is one, arguments, variables, each ended by NUL. */
  uint32_t length;
};

struct answer {
  uint32_t kind;
  uint32_t slot;
  uint32_t pid;
  /* Of FAILED: errno. Of EXITED and LEFT: the status of wait(2). After EXITED and EMPTY nobody is left in the group. */
  uint32_t value;
};

enum { NOBODY, RUNNING, LEADERLESS };

/* A program's group. Its number is written by the program itself before its exec, so it is there however this process ends. */
struct group {
  volatile int32_t pid;
  uint32_t state;
};

struct program {
  const char *file;
  const char *directory;
  char **arguments;
  char **variables;
  int input, output, error;
  uint32_t capabilities;
  struct group *group;
};

typedef unsigned char byte;
struct moment {
  long seconds, nanoseconds;
};

/*
 * Milliseconds: how long a brief program may run before the gateway is told that it has started, for each of those that share the processors, up to
 * five; how often groups without leader are looked at; how long programs have between TERM and KILL when the gateway is gone.
 */
enum { BRIEF_FOR = 4, SHARING = 5, LOOK_EVERY = 1000, GRACE = 1000 };
enum { SIGNAL_SET_BYTES = 8, ANSWERS = 64, FEW_STRINGS = 1024, MAX_DESCRIPTORS = 4, UNTOLD = 512 };

static struct group *groups;
/* One more than the highest slot in use so far. */
static uint32_t top;
/* Nobody is at the other end of the socket: what it has said still counts, but nothing is started any more. */
static int alone;
static uint32_t leaderless;
static long looked;
static int nothing, signals;
static struct answer answers[ANSWERS];
static uint32_t answered;
/* Brief programs whose start has not been told yet, in their order. */
static struct {
  uint32_t slot;
  int32_t pid;
  long due;
} untold[UNTOLD];
static uint32_t first_untold, next_untold;
static byte packet[PACKET_BYTES];
static char *few_strings[FEW_STRINGS];

/* What the program has come to before its exec; it shares this memory. */
static volatile long exec_error;

/* ---- system calls ---- */

#if defined(__x86_64__)
static inline long call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
/* The child returns first, on the same stack: where to is kept in a register meanwhile. */
__asm__(".text\n.globl _start\n_start: xor %ebp, %ebp\n and $-16, %rsp\n call run\n"
        ".globl start_vfork\nstart_vfork: pop %rdi\n mov $58, %eax\n syscall\n push %rdi\n ret\n");
#elif defined(__aarch64__)
static inline long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                   x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
/* clone(CLONE_VM | CLONE_VFORK | SIGCHLD): this processor has no vfork of its own. */
__asm__(".text\n.globl _start\n_start: mov x29, #0\n bl run\n"
        ".globl start_vfork\nstart_vfork: mov x0, #0x4111\n mov x1, #0\n mov x8, #220\n svc #0\n ret\n");
#elif defined(__arm__)
static inline long call(long number, long a, long b, long c, long d, long e, long f) {
  register long r7 __asm__("r7") = number, r0 __asm__("r0") = a, r1 __asm__("r1") = b, r2 __asm__("r2") = c,
                   r3 __asm__("r3") = d, r4 __asm__("r4") = e, r5 __asm__("r5") = f;
  __asm__ volatile("swi #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
  return r0;
}
__asm__(".text\n.arm\n.globl _start\n_start: mov fp, #0\n bl run\n"
        ".globl start_vfork\nstart_vfork: mov ip, r7\n mov r7, #190\n swi #0\n mov r7, ip\n bx lr\n");
#else
#error "this processor is not known here"
#endif

long start_vfork(void) __attribute__((returns_twice));

#define CALL1(number, a) call(number, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(number, a, b) call(number, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(number, a, b, c) call(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(number, a, b, c, d) call(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(number, a, b, c, d, e) call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

static void *map(long length, long flags, int descriptor) {
#ifdef SYS_mmap2
  long at = call(SYS_mmap2, 0, length, PROT_READ | PROT_WRITE, flags, descriptor, 0);
#else
  long at = call(SYS_mmap, 0, length, PROT_READ | PROT_WRITE, flags, descriptor, 0);
#endif
  return at < 0 && at > -4096 ? (void *)0 : (void *)at;
}

__attribute__((noreturn)) static void leave(int status) {
  for (;;) CALL1(SYS_exit_group, status);
}

/* Milliseconds. */
static long now(void) {
  struct moment moment;
  CALL2(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, &moment);
  return moment.seconds * 1000 + moment.nanoseconds / 1000000;
}

/* The compiler calls them where it likes. */
void *memset(void *to, int value, unsigned long length) {
  for (byte *at = to; length > 0; length--) *at++ = (byte)value;
  return to;
}
void *memcpy(void *to, const void *from, unsigned long length) {
  const byte *source = from;
  for (byte *at = to; length > 0; length--) *at++ = *source++;
  return to;
}

/* ---- answers ---- */

/* The pipe may be full: then this waits for the gateway, or for its end. */
static void flush(void) {
  const byte *from = (const byte *)answers;
  long left = (long)(answered * sizeof(struct answer));
  while (left > 0) {
    long written = CALL3(SYS_write, 1, from, left);
    if (written == -EINTR) continue;
    if (written <= 0) break;
    from += written;
    left -= written;
  }
  answered = 0;
}

static void tell(uint32_t kind, uint32_t slot, int32_t pid, uint32_t value) {
  if (answered == ANSWERS) flush();
  answers[answered++] = (struct answer){kind, slot, (uint32_t)pid, value};
}

/* Those that have run for a while, or ended meanwhile, which has told all. Answers when to look again; -1: there are none. */
static long tell_brief(void) {
  for (; first_untold != next_untold; first_untold++) {
    uint32_t at = first_untold % UNTOLD, slot = untold[at].slot;
    if (groups[slot].pid != untold[at].pid || groups[slot].state != RUNNING) continue;
    long left = untold[at].due - now();
    if (left > 0) return left;
    tell(STARTED, slot, untold[at].pid, 0);
  }
  return -1;
}

/* ---- groups ---- */

static int is_empty(int32_t group) {
  return CALL2(SYS_kill, -group, 0) == -ESRCH;
}

static void set_free(uint32_t slot) {
  groups[slot].pid = 0;
  groups[slot].state = NOBODY;
}

/* Also takes the orphans of programs, which fall to this process and mean nothing to it. */
static void reap(void) {
  for (;;) {
    int status;
    long pid = CALL4(SYS_wait4, -1, &status, WNOHANG, 0);
    if (pid <= 0) return;
    uint32_t slot = 0;
    while (slot < top && !(groups[slot].pid == pid && groups[slot].state == RUNNING)) slot++;
    if (slot == top) continue;
    /* In this moment: later its number may be another's. */
    if (is_empty((int32_t)pid)) {
      set_free(slot);
      tell(EXITED, slot, (int32_t)pid, (uint32_t)status);
    } else {
      groups[slot].state = LEADERLESS;
      if (leaderless++ == 0) looked = now();
      tell(LEFT, slot, (int32_t)pid, (uint32_t)status);
    }
  }
}

static void look_at_leaderless(void) {
  if (leaderless == 0 || now() - looked < LOOK_EVERY) return;
  looked = now();
  for (uint32_t slot = 0; slot < top; slot++) {
    if (groups[slot].state != LEADERLESS || !is_empty(groups[slot].pid)) continue;
    int32_t pid = groups[slot].pid;
    leaderless--;
    set_free(slot);
    tell(EMPTY, slot, pid, 0);
  }
}

static void signal_group(uint32_t slot, int signal) {
  if (groups[slot].state == NOBODY) return;
  if (groups[slot].state == LEADERLESS && is_empty(groups[slot].pid)) return;
  CALL2(SYS_kill, -groups[slot].pid, signal);
}

/* The gateway is gone: what runs gets a second to end. */
__attribute__((noreturn)) static void end_all(void) {
  long until = now() + GRACE;
  for (uint32_t slot = 0; slot < top; slot++) signal_group(slot, SIGTERM);
  for (;;) {
    uint32_t slot = 0;
    while (slot < top && (groups[slot].state == NOBODY || is_empty(groups[slot].pid))) slot++;
    long left = until - now();
    if (slot == top || left <= 0) break;
    /* The ends of those that have no leader are not told. */
    struct moment wait = {0, (left < 20 ? left : 20) * 1000000};
    CALL4(SYS_ppoll, 0, 0, &wait, 0);
    reap();
    answered = 0;
  }
  for (uint32_t slot = 0; slot < top; slot++) signal_group(slot, SIGKILL);
  leave(0);
}

/* ---- starting ---- */

/* In the program's process, in this memory, while this process waits. */
__attribute__((noinline, noreturn)) static void become(const struct program *program) {
  uint64_t none = 0;
  program->group->pid = (int32_t)CALL1(SYS_getpid, 0);
  CALL1(SYS_setsid, 0);
  CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, SIGNAL_SET_BYTES);
  CALL3(SYS_dup3, program->input, 0, 0);
  CALL3(SYS_dup3, program->output, 1, 0);
  CALL3(SYS_dup3, program->error, 2, 0);
  long failed = program->directory ? CALL1(SYS_chdir, program->directory) : 0;
  for (int number = 0; number < 32; number++)
    if (program->capabilities >> number & 1)
      CALL5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0);
  if (failed == 0) failed = CALL3(SYS_execve, program->file, program->arguments, program->variables);
  exec_error = -failed;
  leave(127);
}

/* By itself, so that nothing of its caller lies where the program's process, which has the same stack, might write. */
__attribute__((noinline)) static long launch(const struct program *program) {
  long pid = start_vfork();
  if (pid == 0) become(program);
  return pid;
}

/* Lays out the strings: answers 0, or an errno. There must be just as many as were announced. */
static long lay_out(struct program *program, const struct request *request, char *strings, char **vector) {
  char *at = strings, *end = strings + request->length;
  uint32_t skipped = request->value & HAS_DIRECTORY ? 2 : 1;
  uint32_t count = skipped + request->arguments + request->variables;
  for (uint32_t index = 0; index < count; index++) {
    if (at == end) return EINVAL;
    if (index == 0) program->file = at;
    else if (index < skipped) program->directory = at;
    else {
      if (index == skipped + request->arguments) *vector++ = 0;
      *vector++ = at;
    }
    while (at < end && *at != 0) at++;
    if (at == end) return EINVAL;
    at++;
  }
  if (request->variables == 0) *vector++ = 0;
  *vector = 0;
  return at == end ? 0 : EINVAL;
}

static void start(const struct request *request, char *strings, const int *descriptors, uint32_t count) {
  uint32_t slot = request->slot, used = 0;
  uint32_t strings_count = request->arguments + request->variables + 2;
  struct program program = {0};
  char **vector = few_strings;
  long failed = 0;
  program.input = request->value & HAS_INPUT ? descriptors[used++] : nothing;
  program.output = descriptors[used++];
  program.error = request->value & HAS_ERROR ? descriptors[used++] : nothing;
  program.capabilities = request->capabilities;
  program.group = &groups[slot];
  if (request->value & LARGE) {
    strings = used < count ? map(request->length, MAP_PRIVATE, descriptors[used]) : 0;
    if (!strings) failed = ENOMEM;
  }
  if (!failed && strings_count > FEW_STRINGS) {
    vector = map((long)(strings_count * sizeof(char *)), MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (!vector) failed = ENOMEM;
  }
  if (!failed) failed = lay_out(&program, request, strings, vector);
  program.arguments = vector;
  program.variables = vector + request->arguments + 1;
  if (!failed) {
    exec_error = 0;
    if (slot >= top) top = slot + 1;
    program.group->state = RUNNING;
    long pid = launch(&program);
    /* Where vfork is emulated by fork it may not be there yet. */
    if (pid > 0) program.group->pid = (int32_t)pid;
    if (pid < 0) failed = -pid;
    else if (exec_error != 0) {
      failed = exec_error;
      CALL4(SYS_wait4, pid, 0, 0, 0);
    } else if (request->value & BRIEF && next_untold - first_untold < UNTOLD) {
      uint32_t at = next_untold++ % UNTOLD, sharing = next_untold - first_untold;
      untold[at].slot = slot;
      untold[at].pid = (int32_t)pid;
      untold[at].due = now() + BRIEF_FOR * (long)(sharing < SHARING ? sharing : SHARING);
    } else tell(STARTED, slot, (int32_t)pid, 0);
  }
  if (failed) {
    set_free(slot);
    tell(FAILED, slot, 0, (uint32_t)failed);
  }
  if (vector && vector != few_strings) CALL2(SYS_munmap, vector, strings_count * sizeof(char *));
  if (request->value & LARGE && strings) CALL2(SYS_munmap, strings, request->length);
}

static void obey(const struct request *request, long length, int *descriptors, uint32_t count) {
  uint32_t slot = request->slot;
  if (length < (long)sizeof *request || slot >= SLOTS) return;
  if (request->kind == TABLE && groups == 0 && count == 1) {
    groups = map(SLOTS * sizeof(struct group), MAP_SHARED, descriptors[0]);
    if (groups) tell(READY, 0, 0, 0);
    else leave(1);
  }
  if (groups == 0 || (alone && request->kind == START)) return;
  if (request->kind == START) {
    uint32_t value = request->value;
    uint32_t wanted = 1 + !!(value & HAS_INPUT) + !!(value & HAS_ERROR) + !!(value & LARGE);
    int whole = value & LARGE ? request->length <= LARGE_BYTES : length == (long)(sizeof *request + request->length);
    /* Each string has an end of its own, so there are no more strings than bytes. */
    if (count != wanted || !whole || request->arguments > request->length || request->variables > request->length)
      tell(FAILED, slot, 0, count < wanted ? EMFILE : EINVAL);
    else start(request, (char *)(request + 1), descriptors, count);
  } else if (request->kind == SIGNAL) signal_group(slot, (int)request->value);
  else if (request->kind == GUARD) {
    if (slot >= top) top = slot + 1;
    groups[slot].pid = (int32_t)request->value;
    groups[slot].state = LEADERLESS;
    leaderless++;
  } else if (request->kind == FORGET && groups[slot].state == LEADERLESS) {
    leaderless--;
    set_free(slot);
  }
}

/* False when there is nothing more. */
static int receive(void) {
  struct {
    struct cmsghdr header;
    int descriptors[MAX_DESCRIPTORS];
  } control;
  struct iovec part = {packet, sizeof packet};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  long length = CALL3(SYS_recvmsg, 0, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length == -EINTR) return 1;
  if (length <= 0) return 0;
  uint32_t count = 0;
  if (message.msg_controllen >= sizeof control.header && control.header.cmsg_type == SCM_RIGHTS)
    count = (uint32_t)((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
  obey((const struct request *)packet, length, control.descriptors, count);
  while (count > 0) CALL1(SYS_close, control.descriptors[--count]);
  return 1;
}

__attribute__((noreturn, used)) void run(void) {
  uint64_t all = ~0ull, children = 1ull << (SIGCHLD - 1);
  struct moment wait;
  struct signalfd_siginfo information;
  /* Blocked, and not ignored: what is ignored stays so over an exec. */
  CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, SIGNAL_SET_BYTES);
  CALL5(SYS_prctl, PR_SET_NAME, "runnel-starter", 0, 0, 0);
  /* As the gateway: what runs as its user may neither read this memory nor trace this process. */
  CALL5(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  CALL5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  CALL5(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  nothing = (int)CALL3(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  signals = (int)CALL4(SYS_signalfd4, -1, &children, SIGNAL_SET_BYTES, SFD_CLOEXEC | SFD_NONBLOCK);
  if (nothing < 0 || signals < 0) leave(1);
  for (;;) {
    struct pollfd ready[2] = {{0, POLLIN, 0}, {signals, POLLIN, 0}};
    long left = tell_brief();
    flush();
    if (leaderless > 0 && (left < 0 || left > LOOK_EVERY)) left = LOOK_EVERY;
    wait.seconds = left / 1000;
    wait.nanoseconds = left % 1000 * 1000000;
    CALL4(SYS_ppoll, ready, 2, left < 0 ? 0 : &wait, 0);
    if (ready[1].revents) {
      CALL3(SYS_read, signals, &information, sizeof information);
      reap();
      flush();
    }
    look_at_leaderless();
    alone = (ready[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    if (ready[0].revents) receive();
    if (alone) {
      while (receive()) continue;
      end_all();
    }
  }
}
