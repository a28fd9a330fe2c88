// Refuses to load BPF programs, but for those that carry a signature by a trusted key.
//
// Who gets here with a signature has had it verified: the kernel refuses a wrong one itself. What is left to decide is
// whether there was one, and whose keyring held the key, since a process may ask for a keyring of its own.

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NAME_LEN 16

// What the kernel tells of a program's signature since 7.2. What follows "___" is not part of a type's name.
struct bpf_prog_aux___since_7_2 {
	struct {
		__s32 keyring_serial;
		__u8 keyring_type;
		__u8 verdict;
	} sig;
} __attribute__((preserve_access_index));

struct bpf_prog___since_7_2 {
	struct bpf_prog_aux___since_7_2 *aux;
} __attribute__((preserve_access_index));

struct bpf_prog_aux {
	char name[NAME_LEN];
} __attribute__((preserve_access_index));

struct bpf_prog {
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

struct bpf_token;

// The values of keyring_type (enum bpf_sig_keyring).
enum keyring {
	NONE,
	BUILTIN,
	SECONDARY,
	PLATFORM,
	USER,
};

enum { VERIFIED = 1 }; // enum bpf_sig_verdict

// What is allowed. User space writes it once, and freezes it before the program is attached.
struct policy {
	__u32 keyrings; // a bit for each keyring of the kernel's own that is trusted: 1 << BUILTIN, ...
	__s32 serial;   // a further keyring that is trusted, or 0
	__u32 enforce;  // 0 only tells what it would refuse
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct policy);
} policies SEC(".maps");

// A load that was refused.
struct refusal {
	__u32 pid;
	__u32 type; // of the program
	enum keyring keyring;
	__s32 serial;
	char comm[NAME_LEN];
	char name[NAME_LEN];
};

// No map has this type: the pointer puts it into the Go package.
struct refusal *unused_refusal __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} refusals SEC(".maps");

// Refusals that found the ring buffer full.
__u64 untold;

// signer finds the keyring that held the key of a program's signature.
static enum keyring signer(struct bpf_prog *prog, union bpf_attr *attr, __s32 *serial)
{
	struct bpf_prog___since_7_2 *signed_prog = (void *)prog;
	__s32 id;

	*serial = 0;
	if (bpf_core_field_exists(signed_prog->aux->sig)) {
		if (signed_prog->aux->sig.verdict != VERIFIED)
			return NONE;
		*serial = signed_prog->aux->sig.keyring_serial;
		return signed_prog->aux->sig.keyring_type;
	}
	// Older kernels keep no record. What was asked for is what was verified.
	if (!BPF_CORE_READ(attr, signature))
		return NONE;
	id = BPF_CORE_READ(attr, keyring_id);
	if (id >= 0 && id <= 2)
		return BUILTIN + id;
	*serial = id;
	return USER;
}

SEC("lsm/bpf_prog_load")
int BPF_PROG(on_prog_load, struct bpf_prog *prog, union bpf_attr *attr, struct bpf_token *token, bool kernel, int ret)
{
	__u32 zero = 0;
	struct policy *policy = bpf_map_lookup_elem(&policies, &zero);
	struct refusal *refusal;
	enum keyring keyring;
	__s32 serial;

	// A signed loader loads its programs from within the kernel: they came with it, and it was let in here before. There is
	// no other way to this from user space.
	if (ret || kernel || !policy)
		return ret;

	keyring = signer(prog, attr, &serial);
	if (keyring == USER ? serial && serial == policy->serial : keyring && policy->keyrings >> keyring & 1)
		return 0;

	refusal = bpf_ringbuf_reserve(&refusals, sizeof(*refusal), 0);
	if (refusal) {
		refusal->pid = bpf_get_current_pid_tgid() >> 32;
		refusal->type = prog->type;
		refusal->keyring = keyring;
		refusal->serial = serial;
		bpf_get_current_comm(refusal->comm, sizeof(refusal->comm));
		bpf_probe_read_kernel_str(refusal->name, sizeof(refusal->name), prog->aux->name);
		bpf_ringbuf_submit(refusal, 0);
	} else {
		__sync_fetch_and_add(&untold, 1);
	}
	return policy->enforce ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "GPL";
