/* Runs a fuzz harness over the files and folders named on the command line. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
replay_file(const char *path, size_t len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(len + 1);
	int rc = f != NULL && data != NULL && fread(data, 1, len, f) == len;

	if (rc)
		LLVMFuzzerTestOneInput(data, len);
	else
		fprintf(stderr, "cannot read %s\n", path);
	free(data);
	if (f != NULL)
		fclose(f);
	return rc;
}

static int
replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	char sub[4096];
	int n, done = 0;

	if (stat(path, &st) != 0) {
		perror(path);
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			snprintf(
			    sub, sizeof(sub), "%s/%s", path, names[i]->d_name);
			done += replay(sub);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return done;
}

int
main(int argc, char **argv)
{
	int done = 0;

	for (int i = 1; i < argc; i++)
		done += replay(argv[i]);
	printf("%d inputs replayed\n", done);
	return done > 0 ? 0 : 1;
}
