/* A kernel that has no more of something from the nth on: to be preloaded. SCARCE=eventfd:2 refuses
 * the second and all that follow. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

static bool is_out(const char *what)
{
    static int asked;
    const char *scarce = getenv("SCARCE");
    size_t length = strlen(what);
    return scarce && strncmp(scarce, what, length) == 0 && scarce[length] == ':' &&
           ++asked >= atoi(scarce + length + 1);
}

static void *real(const char *what)
{
    return dlsym(RTLD_NEXT, what);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *context)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *found = real("pthread_create");
    memcpy(&create, &found, sizeof create);
    return is_out("pthread_create") ? EAGAIN : create(thread, attributes, run, context);
}

int eventfd(unsigned count, int flags)
{
    int (*open)(unsigned, int);
    void *found = real("eventfd");
    memcpy(&open, &found, sizeof open);
    errno = ENFILE;
    return is_out("eventfd") ? -1 : open(count, flags);
}

int epoll_create1(int flags)
{
    int (*open)(int);
    void *found = real("epoll_create1");
    memcpy(&open, &found, sizeof open);
    errno = ENFILE;
    return is_out("epoll_create1") ? -1 : open(flags);
}

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    ssize_t (*get)(void *, size_t, unsigned);
    void *found = real("getrandom");
    memcpy(&get, &found, sizeof get);
    errno = ENOSYS;
    return is_out("getrandom") ? -1 : get(bytes, size, flags);
}
