# A C program with threads, compiled and run here.
cd /tmp && cat > program.c <<'END'
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static atomic_long total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int next;
static _Thread_local long mine;
static void *count(void *arg) {
    for (long i = 0; i < 100000; i++) mine++, atomic_fetch_add(&total, 1);
    pthread_mutex_lock(&lock);
    while (next != (int)(long)arg) pthread_cond_wait(&turn, &lock);
    printf("%ld:%ld ", (long)arg, mine);
    next++;
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
    return 0;
}
int main(void) {
    pthread_t threads[16];
    for (long i = 0; i < 16; i++) pthread_create(&threads[i], 0, count, (void *)i);
    for (int i = 0; i < 16; i++) pthread_join(threads[i], 0);
    printf("\n%ld\n", total);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) raise(SIGABRT);
    int status;
    waitpid(child, &status, 0);
    printf("%d %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    *(volatile int *)0 = 0;
}
END
gcc -O2 -Wall -pthread -o program program.c && gcc -O0 -static -pthread -o static program.c || exit 1
{ ./program; echo "code $?"; ./static; echo "code $?"; } 2>/dev/null
printf 'all: a.o b.o\n\tcat $^\n%%.o:\n\techo $* > $@\n' > Makefile && make -s -j4
exec ./program
