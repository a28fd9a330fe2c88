// Refuses to execute some files, whatever their names.

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

// As much of the kernel's structs as is read here: see execsnoop.
struct super_block {
	__u32 s_dev;
} __attribute__((preserve_access_index));

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} __attribute__((preserve_access_index));

struct file {
	struct inode *f_inode;
} __attribute__((preserve_access_index));

struct linux_binprm {
	struct file *file;
} __attribute__((preserve_access_index));

// A file, as stat(2) tells it: names come and go.
struct file_id {
	__u64 inode;
	__u32 device; // the kernel's own encoding: 12 bits of major, 20 of minor number
	__u32 unused;
};

// How often it was refused to execute a file.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct file_id);
	__type(value, __u64);
} denied SEC(".maps");

SEC("lsm/bprm_check_security")
int BPF_PROG(check, struct linux_binprm *binprm, int ret)
{
	struct inode *inode = binprm->file->f_inode;
	struct file_id id = {.inode = inode->i_ino, .device = inode->i_sb->s_dev};
	__u64 *count = bpf_map_lookup_elem(&denied, &id);

	if (ret || !count) // another policy has refused already
		return ret;
	__sync_fetch_and_add(count, 1);
	return -EPERM;
}

char LICENSE[] SEC("license") = "GPL";
