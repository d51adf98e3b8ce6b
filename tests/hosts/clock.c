/* A machine's wall clock that a test may move while its programs run.
 *
 * Preloaded (LD_PRELOAD), it adds the seconds in the file CLOCK_FILE (one int64, mapped once, so that
 * a move is seen at once by every process; named at compile time, because a program may keep the
 * environment of its children bare) to every reading of the wall clock. The
 * monotonic clock, and with it every sleep and timeout that is not given in wall-clock time, stays
 * true, as on a laptop whose clock is set. Waits until a moment of the wall clock are moved back,
 * because the kernel waits by its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A time since boot is below it, a time since 1970 above: both are given to the same functions. */
#define WALL_CLOCK_S_MIN 1000000000

static const int64_t none = 0;
static const volatile int64_t *moved_s = &none;
static long (*real_syscall)(long, ...);

__attribute__((constructor)) static void begin(void) {
    real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    int file = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);
    if (file < 0) abort(); /* a clock that cannot be moved would make its test pass */
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    close(file);
    moved_s = page;
}

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static struct timespec true_time(const struct timespec *told) {
    struct timespec moved = *told;
    if (moved.tv_sec >= WALL_CLOCK_S_MIN) moved.tv_sec -= *moved_s;
    return moved;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && is_wall(clock)) now->tv_sec += *moved_s;
    return failed;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    clockid_t clock = until->tv_sec >= WALL_CLOCK_S_MIN ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec moved = true_time(until);
    return pthread_cond_clockwait(condition, mutex, clock, &moved);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec moved = true_time(until);
    return sem_clockwait(semaphore, CLOCK_REALTIME, &moved);
}

/* Abseil, under gRPC, waits by a futex of its own. */
long syscall(long number, ...) {
    va_list rest;
    long a[6];
    va_start(rest, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    struct timespec moved;
    if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME) && a[3]) {
        moved = true_time((const struct timespec *)a[3]);
        a[3] = (long)&moved;
    }
    long result = real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_clock_gettime && result == 0 && is_wall((clockid_t)a[0]))
        ((struct timespec *)a[1])->tv_sec += *moved_s;
    return result;
}
