/* doctor: settings file, spool, keys, the recorder program. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "common/bytes.h"
#include "common/keyfile.h"
#include "common/links.h"
#include "common/password.h"
#include "ctl/doctor/doctor.h"

#define MIB                (1 << 20)
#define RECORDER_TIMEOUT_S 5
#define COMFORTABLE        10 /* times the least free space */

void
doctor_config(struct doctor *d)
{
	const char *path = d->ctl->config_path;
	struct stat st;

	if (path == NULL) {
		doctor_warn(d, "config",
		    "write /etc/relaycam/relaycam.conf, or give --config "
		    "FILE; docs/configuration.md has all settings",
		    "no settings file: defaults are in force");
		return;
	}
	if (stat(path, &st) != 0)
		doctor_fail(d, "config", "put it back", "%s: %s", path,
		    strerror(errno));
	else if (st.st_mode & S_IWOTH)
		doctor_fail(d, "config", "chmod 0640 the file",
		    "%s can be changed by everybody", path);
	else if (st.st_mode & S_IROTH)
		doctor_warn(d, "config", "chmod 0640 the file",
		    "%s can be read by everybody", path);
	else
		doctor_ok(d, "config", "%s", path);
}

/* --- spool --------------------------------------------------------------- */

static void
check_space(struct doctor *d, const char *dir, int64_t least)
{
	struct statvfs vfs;
	int64_t free_bytes;

	if (statvfs(dir, &vfs) != 0) {
		doctor_fail(d, "spool", "look at the disk", "%s: %s", dir,
		    strerror(errno));
		return;
	}
	free_bytes = (int64_t)vfs.f_bavail * (int64_t)vfs.f_frsize;
	if (free_bytes < least)
		doctor_fail(d, "spool",
		    "free disk space: nothing is recorded until then (C6)",
		    "%s has %lld MiB free, %lld are needed", dir,
		    (long long)free_bytes / MIB, (long long)least / MIB);
	else if (free_bytes / COMFORTABLE < least)
		doctor_warn(d, "spool", "free disk space",
		    "%s has %lld MiB free; recording stops at %lld", dir,
		    (long long)free_bytes / MIB, (long long)least / MIB);
	else
		doctor_ok(d, "spool", "%s, %lld MiB free", dir,
		    (long long)free_bytes / MIB);
}

/* Set aside by storage, docs/spool.md: somebody has to look at it. */
static void
check_quarantine(struct doctor *d, const char *dir)
{
	char path[PATH_MAX];
	const struct dirent *e;
	unsigned n = 0;
	DIR *list;

	snprintf(path, sizeof(path), "%s/quarantine", dir);
	list = opendir(path);
	if (list == NULL)
		return;
	while ((e = readdir(list)) != NULL)
		n += e->d_name[0] != '.';
	closedir(list);
	if (n > 0)
		doctor_warn(d, "spool",
		    "look at the audit entries recording_quarantined, and "
		    "remove the folders in it when they are dealt with",
		    "%s has files of %u session(s) whose manifest names "
		    "another one",
		    path, n);
}

void
doctor_spool(struct doctor *d)
{
	const char *dir = d->ctl->spool.dir;
	struct statfs fs;
	struct stat st;

	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
		doctor_fail(d, "spool",
		    "make the folder, owned by the daemons' account, mode "
		    "0700, or set [spool] dir",
		    "%s: %s", dir,
		    errno != 0 ? strerror(errno) : "not a folder");
		return;
	}
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		doctor_fail(d, "spool",
		    "give it to the account of the daemons, and run doctor as "
		    "that account",
		    "%s cannot be written by this account", dir);
	else if (st.st_mode & (S_IROTH | S_IWOTH))
		doctor_fail(d, "spool", "chmod 0700 the folder",
		    "%s is open to everybody", dir);
	else
		check_space(d, dir, d->ctl->spool.min_free_bytes);
	check_quarantine(d, dir);
	if (statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		doctor_warn(d, "spool",
		    "move [spool] dir to a disk: recordings wait there until "
		    "they are stored",
		    "%s is in memory and is lost when the machine stops", dir);
}

/* --- keys ---------------------------------------------------------------- */

static void
check_key(
    struct doctor *d, const char *check, const char *path, const char *remedy)
{
	uint8_t key[SEAL_KEY_LEN];
	char why[KEYFILE_WHY_MAX];
	int rc = keyfile_read(check, path, key, sizeof(key), why, sizeof(why));

	wipe(key, sizeof(key));
	if (rc != 0)
		doctor_fail(d, check, remedy, "%s", why);
	else
		doctor_ok(d, check, "%s", path);
}

void
doctor_link_key(struct doctor *d)
{
	const char *path = d->ctl->store.link_key_file;

	/* else it signs only links to what is still being recorded */
	if (!link_is_direct(&d->ctl->store) || access(path, F_OK) == 0)
		check_key(d, "link key", path,
		    "make one for storage, console and relaycam alike: umask "
		    "077; head -c 32 /dev/urandom > FILE");
}

void
doctor_seal_key(struct doctor *d)
{
	check_key(d, "seal key", d->ctl->secrets.seal_key_file,
	    "restore it from the backup; a new one (umask 077; head -c 32 "
	    "/dev/urandom > FILE) means storing all endpoints' passwords "
	    "again");
}

/* Signing recordings: storage makes this key itself. */
void
doctor_evidence_key(struct doctor *d)
{
	const char *path = d->ctl->secrets.evidence_key_file;
	const char *remedy = "restore it from the backup, or remove it: "
			     "storage makes a new one at its next start";
	struct stat st;

	if (path == NULL || path[0] == '\0')
		doctor_warn(d, "evidence key",
		    "set [secrets] evidence_key_file; storage makes the file",
		    "recordings are not signed");
	else if (stat(path, &st) != 0 && errno == ENOENT)
		doctor_warn(d, "evidence key",
		    "start the storage daemon on this machine once",
		    "%s is not there yet", path);
	else
		check_key(d, "evidence key", path, remedy);
}

/* --- the recorder program ------------------------------------------------ */

/* In the child: out takes what it says to stream. */
static _Noreturn void
exec_program(const char *const *argv, int stream, int out)
{
	dup2(out, stream);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Reads to the end, until text is full or the time is over. */
static void
read_output(int fd, char *text, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t have = 0;
	ssize_t n;

	while (have + 1 < len && poll(&p, 1, RECORDER_TIMEOUT_S * 1000) > 0) {
		n = read(fd, text + have, len - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	text[have] = '\0';
}

/* What argv says to stream; returns its wait status, -1: cannot be run. */
static int
run_program(const char *const *argv, int stream, char *text, size_t len)
{
	int fds[2], status = -1;
	pid_t pid;

	if (pipe(fds) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		exec_program(argv, stream, fds[1]);
	close(fds[1]);
	text[0] = '\0';
	if (pid > 0) {
		read_output(fds[0], text, len);
		kill(pid, SIGKILL); /* it has closed its end, or hangs */
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(fds[0]);
	return pid > 0 ? status : -1;
}

/* As the relay does at its start: a kernel or a container may forbid it. */
static void
check_sandbox(struct doctor *d, const char *program)
{
	const char *const argv[] = { program, "--check-sandbox",
		d->ctl->spool.dir, NULL };
	char text[2000];
	int status;

	if (access(d->ctl->spool.dir, W_OK) != 0)
		return; /* said elsewhere */
	status = run_program(argv, STDERR_FILENO, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		doctor_fail(d, "sandbox",
		    "allow what it says (docs/containers.md); until then "
		    "nothing is recorded",
		    "recorders cannot lock themselves in: %s", text);
	else if (strstr(text, "file_rules=none") != NULL)
		doctor_warn(d, "sandbox",
		    "use Linux 5.13 or newer, and a container runtime that "
		    "allows Landlock",
		    "recorders are kept from files by the system call filter "
		    "alone");
	else
		doctor_ok(d, "sandbox", "recorders can lock themselves in");
}

static void
check_recorder(struct doctor *d, const char *check, const char *program)
{
	static const char want[] = "relaycam-recorder " RELAYCAM_VERSION;
	const char *const argv[] = { program, "--version", NULL };
	char line[200];

	/* a name without a slash is looked for in PATH, as the daemon does */
	if (program == NULL ||
	    (strchr(program, '/') != NULL && access(program, X_OK) != 0)) {
		doctor_fail(d, check,
		    "install relaycam-recorder and set recorder_program to "
		    "its full path",
		    "%s cannot be run: %s",
		    program != NULL ? program : "recorder_program",
		    program != NULL ? strerror(errno) : "not set");
		return;
	}
	run_program(argv, STDOUT_FILENO, line, sizeof(line));
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, want) == 0) {
		doctor_ok(d, check, "%s: %s", program, line);
		check_sandbox(d, program);
	} else if (strncmp(line, "relaycam-recorder ", 18) == 0)
		doctor_fail(d, check, "install all programs of one version",
		    "%s is \"%s\", this is %s", program, line,
		    RELAYCAM_VERSION);
	else
		doctor_fail(d, check,
		    "set recorder_program to relaycam-recorder; when it is, "
		    "run it with --version and see what is missing",
		    "%s --version says \"%s\"", program, line);
}

void
doctor_recorders(struct doctor *d)
{
	const char *relay = d->ctl->relay.recorder_program;
	const char *storage = d->ctl->storage.recorder_program;

	check_recorder(d, "recorder", relay);
	if (relay == NULL || storage == NULL || strcmp(relay, storage) != 0)
		check_recorder(d, "repair", storage);
}
