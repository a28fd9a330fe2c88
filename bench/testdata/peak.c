/* peak FILE COMMAND...: runs a command and writes the memory that it had at its peak to a file, in kB. A child's usage begins with what
 * its parent had, so the parent must be small: this one instead of a Go program. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;
	pid_t child;
	FILE *f;

	if (argc < 3 || (child = fork()) < 0)
		return 125;
	if (!child) {
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (wait4(child, &status, 0, &usage) < 0 || !(f = fopen(argv[1], "w")))
		return 126;
	fprintf(f, "%ld\n", usage.ru_maxrss);
	fclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
