// A program with a bit of everything that a gen-loader has to do: maps of several kinds, data sections, an attach target,
// relocations against the kernel's types, kernel functions and symbols. It includes nothing, so that any clang can compile it.

typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))

static void *(*const map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const ringbuf_output)(void *ringbuf, void *data, u64 size, u64 flags) = (void *)130;

struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

struct event {
	u32 pid;
	u32 count;
};

struct {
	__uint(type, 27); // BPF_MAP_TYPE_RINGBUF
	__uint(max_entries, 4096);
} events SEC(".maps");

struct inner {
	__uint(type, 2); // BPF_MAP_TYPE_ARRAY
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, 12); // BPF_MAP_TYPE_ARRAY_OF_MAPS
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {&first, &second},
};

const volatile u32 wanted_pid = 1;
u32 seen = 7;
u64 total;

extern const int variable_not_there __ksym __weak;
extern const void bpf_map_put __ksym;
extern const void not_there __ksym __weak;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void bpf_not_there(void) __ksym __weak;

SEC("tp_btf/sched_process_exec")
int on_exec(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct event e = {.pid = task->tgid, .count = seen++};
	u32 zero = 0;
	void *inner = map_lookup_elem(&outer, &zero);
	u64 *value;

	if (wanted_pid && e.pid != wanted_pid)
		return 0;
	if (inner) {
		value = map_lookup_elem(inner, &zero);
		if (value)
			total += *value;
	}
	ringbuf_output(&events, &e, sizeof(e), 0);
	return 0;
}

SEC("syscall")
int probe(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(wanted_pid);
	u64 sum = &variable_not_there ? variable_not_there : 2;

	sum += (u64)&bpf_map_put;
	if (&not_there)
		sum += (u64)&not_there;
	if (bpf_not_there)
		bpf_not_there();
	if (task)
		bpf_task_release(task);
	total = sum;
	return 0;
}

char _license[] SEC("license") = "GPL";
