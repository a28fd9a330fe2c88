/* What a C light skeleton is measured with: for each number on standard input, as many loads; their median in microseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

int main(void)
{
	double times[1000];
	int n;

	while (scanf("%d", &n) == 1 && n > 0 && n <= 1000) {
		for (int i = 0; i < n; i++) {
			struct timespec from, to;
			struct object *skel;

			clock_gettime(CLOCK_MONOTONIC, &from);
			skel = object__open_and_load();
			clock_gettime(CLOCK_MONOTONIC, &to);
			if (!skel) {
				fprintf(stderr, "light skeleton: %s\n", strerror(errno));
				return 1;
			}
			times[i] = (to.tv_sec - from.tv_sec) * 1e6 + (to.tv_nsec - from.tv_nsec) / 1e3;
			object__destroy(skel);
		}
		qsort(times, n, sizeof(times[0]), ascending);
		printf("%f\n", (times[(n - 1) / 2] + times[n / 2]) / 2);
		fflush(stdout);
	}
	return 0;
}
