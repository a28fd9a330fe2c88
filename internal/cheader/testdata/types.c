// Types whose layout or order is not plain: what types-bpfel.o and types-bpfeb.o hold, whose header is types.h.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

// Alignment and its absence.
struct packed {
	u8 a;
	u64 b;
	u16 c;
} __attribute__((packed));
struct packed_aligned {
	u8 a;
	u32 b;
	u8 c;
} __attribute__((packed, aligned(4)));
struct packed_member {
	u8 a;
	struct packed b;
	struct packed_aligned c;
	u64 d __attribute__((packed));
};
struct aligned_member {
	u8 a;
	u8 b __attribute__((aligned(64)));
	u8 c __attribute__((aligned(32)));
	u8 d[];
};
struct aligned_tail {
	u64 a;
	u8 b[5];
} __attribute__((aligned(32)));
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
	u8 b __attribute__((aligned(8192)));
};
struct int128 {
	u8 a;
	__int128 b;
	unsigned __int128 c;
};

// Bit-fields.
struct bits {
	u32 a : 3;
	u32 b : 30;
	int c : 5;
	u64 d : 40;
	u8 e : 1;
	bool f : 1;
	u16 g;
	u8 h : 7;
	u8 : 0;
	u8 i : 2;
	u32 : 11;
	u32 j : 9;
	enum sign { MINUS = -1, PLUS = 1 } k : 2;
	u32 : 32;
};
struct packed_bits {
	u8 a;
	u32 b : 31;
	u64 c : 60;
	u8 : 3;
	u32 d : 7;
	u16 e;
} __attribute__((packed));
union bits_union {
	u64 a : 33;
	u8 b : 3;
};

// Without names.
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
	enum { INLINE_A, INLINE_B = 7 } e;
	struct {
		int x, y;
	} points[2][3], *more;
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
enum { GLOBAL_A = 0x7fffffff, GLOBAL_B = -2 };

// Enumerations.
enum unsigned32 { U32_MAX = 0xffffffff };
enum unsigned64 { U64_SMALL, U64_MAX = 0xffffffffffffffff };
enum signed64 { S64_MIN = -0x7fffffffffffffff - 1, S64_MAX = 0x7fffffffffffffff };
enum small { SMALL_A, SMALL_B } __attribute__((packed));
enum two_bytes { TWO_BYTES = 300 } __attribute__((packed));
enum wide { WIDE_A = 1, WIDE_B } __attribute__((mode(DI)));
struct enums {
	enum small a;
	enum two_bytes b;
	enum wide c;
	enum unsigned64 d;
	enum signed64 e;
};

// Order: what needs what.
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
struct tree {
	tree_t *left, *right;
	struct leaf {
		tree_t *of;
	} leaf;
};

// Declarators.
typedef int function(const char *, ...);
typedef void none(void);
typedef function *function_pointer;
typedef function_pointer (*returns_function)(int (*)[4], void (*const)(void));
typedef const char *const volatile strings[3];
struct declarators {
	int (*array)[4];
	int *(*(*deep)(void))[5];
	const volatile u8 *const volatile a;
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

// Attributes.
#define __user __attribute__((btf_type_tag("user")))
#define __rcu __attribute__((btf_type_tag("rcu")))
struct tags {
	int __user *a;
	struct self __rcu *b;
	char __user *__rcu *c;
	int __user __rcu *d;
	u32 e __attribute__((btf_decl_tag("member"), btf_decl_tag("a \"quoted\" \\ one")));
} __attribute__((btf_decl_tag("record")));
typedef int tagged __attribute__((btf_decl_tag("typedef")));

// Flexible and empty.
struct empty {};
struct flexible {
	u32 n;
	struct empty e;
	u64 data[];
} __attribute__((aligned(16)));
struct holds_flexible {
	u8 a;
	struct flexible b;
};

struct packed *u1;
struct packed_aligned *u2;
struct packed_member *u3;
struct aligned_member *u4;
struct aligned_tail *u5;
struct holds_unions *u6;
struct page_aligned *u7;
struct int128 *u8_;
struct bits *u9;
struct packed_bits *u10;
union bits_union *u11;
struct anonymous *u12;
struct same_anonymous *u13;
enum unsigned32 u14;
struct enums *u15;
struct self *u16_;
struct first *u17;
struct second *u18;
struct tree *u19;
struct declarators *u20;
struct tags *u21;
tagged u22;
struct holds_flexible *u23;
