// Stands for a kernel: its types become vmlinux.h.

#include <linux/types.h>

// What libbpf's headers ask of a vmlinux.h.
struct uapi {
	__u8 u8;
	__u16 u16;
	__u32 u32;
	__u64 u64;
	__s8 s8;
	__s16 s16;
	__s32 s32;
	__s64 s64;
	__be16 be16;
	__be32 be32;
	__wsum wsum;
};

struct list_head {
	struct list_head *next, *prev;
};

struct task_struct {
	int pid;
	char comm[16];
	struct list_head tasks __attribute__((aligned(64)));
	struct task_struct *real_parent;
	unsigned sched_reset_on_fork : 1;
	unsigned : 0;
	unsigned sched_contributes_to_load : 1;
};

struct packet {
	unsigned char type;
	unsigned long long address;
} __attribute__((packed));

enum verdict {
	VERDICT_DROP = 1,
	VERDICT_PASS = 1ULL << 40,
};

struct uapi *uapi;
struct task_struct *task;
struct packet *packet;
enum verdict verdict;
