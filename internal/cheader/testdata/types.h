/* The types of a kernel, from its BTF. Generated: do not edit. */

#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

typedef unsigned char u8;

typedef unsigned long long u64;

typedef unsigned short u16;

struct packed {
	u8 a;
	u64 b;
	u16 c;
} __attribute__((packed));

typedef unsigned int u32;

struct packed_aligned {
	u8 a;
	u32 b;
	u8 c;
	long long: 16;
} __attribute__((packed));

struct packed_member {
	u8 a;
	struct packed b;
	struct packed_aligned c;
	u64 d;
} __attribute__((packed));

struct aligned_member {
	u8 a;
	long long: 56;
	long long: 64;
	long long: 64;
	long long: 64;
	long long: 64;
	long long: 64;
	long long: 64;
	long long: 64;
	u8 b;
	long long: 56;
	long long: 64;
	long long: 64;
	long long: 64;
	u8 c;
	u8 d[0];
	long long: 56;
	long long: 64;
	long long: 64;
	long long: 64;
};

struct aligned_tail {
	u64 a;
	u8 b[5];
	long long: 24;
	long long: 64;
	long long: 64;
};

union aligned_union {
	u8 a;
	u32 b;
} __attribute__((aligned(16)));

union packed_union {
	u8 a[5];
	u32 b;
} __attribute__((packed));

struct holds_unions {
	u8 a;
	union aligned_union b;
	union packed_union c;
	u8 d;
};

struct page_aligned {
	u8 a;
	unsigned char __gap_1[8191];
	u8 b;
	unsigned char __gap_2[8191];
};

struct int128 {
	u8 a;
	__int128 b;
	unsigned __int128 c;
};

#if __STDC_VERSION__ < 202311L
typedef _Bool bool;
#endif

enum sign {
	MINUS = -1,
	PLUS = 1,
};

struct bits {
	u32 a: 3;
	u32 b: 30;
	int c: 5;
	u64 d: 40;
	u8 e: 1;
	bool f: 1;
	u16 g;
	u8 h: 7;
	u8 i: 2;
	short: 6;
	char: 5;
	u32 j: 9;
	enum sign k: 2;
};

struct packed_bits {
	u8 a;
	u32 b: 31;
	u64 c: 60;
	char: 3;
	u32 d: 7;
	u16 e;
} __attribute__((packed));

union bits_union {
	u64 a: 33;
	u8 b: 3;
};

struct anonymous {
	union {
		struct {
			u8 a;
			u16 b;
		} __attribute__((packed));
		u32 c;
		union {
			u8 d;
		} __attribute__((aligned(8)));
	};
	enum {
		INLINE_A = 0,
		INLINE_B = 7,
	} e;
	struct {
		int x;
		int y;
	} points[2][3];
	struct {
		int x;
		int y;
	} *more;
};

typedef struct {
	struct {
		int a;
	};
} only_typedef;

struct same_anonymous {
	only_typedef a;
	only_typedef *b;
};

enum unsigned32 {
	U32_MAX = 4294967295,
};

enum small {
	SMALL_A = 0,
	SMALL_B = 1,
} __attribute__((mode(QI)));

enum two_bytes {
	TWO_BYTES = 300,
} __attribute__((mode(HI)));

enum wide {
	WIDE_A = 1LL,
	WIDE_B = 2LL,
} __attribute__((mode(DI)));

enum unsigned64 {
	U64_SMALL = 0ULL,
	U64_MAX = 18446744073709551615ULL,
};

enum signed64 {
	S64_MIN = (-9223372036854775807LL - 1),
	S64_MAX = 9223372036854775807LL,
};

struct enums {
	enum small a;
	enum two_bytes b;
	enum wide c;
	enum unsigned64 d;
	enum signed64 e;
};

struct self {
	struct self *next;
	struct self *(*get)(struct self *, struct self **);
};

struct second;

struct never_defined;

union never_defined_union;

struct first {
	struct second *to;
	int (*call)(struct second *, struct never_defined *, union never_defined_union *);
};

struct second {
	struct first in;
	struct never_defined *never;
};

typedef struct tree tree_t;

struct leaf {
	tree_t *of;
};

struct tree {
	tree_t *left;
	tree_t *right;
	struct leaf leaf;
};

typedef int function(const char *, ...);

typedef void none(void);

typedef function *function_pointer;

typedef function_pointer (*returns_function)(int (*)[4], void (*const)(void));

typedef const char *volatile const strings[3];

struct declarators {
	int (*array)[4];
	int *(*(*deep)(void))[5];
	volatile const u8 *volatile const a;
	char *restrict b;
	const u8 c[2];
	function *d;
	none *e;
	returns_function f[2];
	void *const *g;
	long double h;
	float i;
	double j;
	strings k;
	u8 rest[0][4];
};

struct tags {
	int __attribute__((btf_type_tag("user"))) *a;
	struct self __attribute__((btf_type_tag("rcu"))) *b;
	char __attribute__((btf_type_tag("user"))) *__attribute__((btf_type_tag("rcu"))) *c;
	int __attribute__((btf_type_tag("user"))) __attribute__((btf_type_tag("rcu"))) *d;
	u32 e __attribute__((btf_decl_tag("member"))) __attribute__((btf_decl_tag("a \"quoted\" \\ one")));
} __attribute__((btf_decl_tag("record")));

typedef int tagged __attribute__((btf_decl_tag("typedef")));

struct empty {
};

struct flexible {
	u32 n;
	struct empty e;
	u64 data[0];
	long long: 64;
};

struct holds_flexible {
	u8 a;
	long long: 56;
	long long: 64;
	struct flexible b;
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
