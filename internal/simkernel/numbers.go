package simkernel

import "crypto/sha256"

// The kernel's numbers that the simulated kernel looks at. It has a table of its own, and does not use internal/uapi: it is
// what the compiler's loaders are checked with, and would not notice a wrong number that both shared. A test compares the two.

// Commands of bpf(2) that bpf_sys_bpf takes from a program and that loaders have a use for (enum bpf_cmd,
// include/uapi/linux/bpf.h).
const (
	cmdMapCreate         = 0
	cmdMapUpdateElem     = 2
	cmdProgLoad          = 5
	cmdRawTracepointOpen = 17
	cmdBTFLoad           = 18
	cmdMapFreeze         = 22
	cmdLinkCreate        = 28
)

// Map types that the kernel's checks single out (enum bpf_map_type).
const (
	mapHash          = 1
	mapArray         = 2
	mapProgArray     = 3
	mapPercpuHash    = 5
	mapPercpuArray   = 6
	mapLRUHash       = 9
	mapLRUPercpuHash = 10
	mapArrayOfMaps   = 12
	mapHashOfMaps    = 13
	mapStructOps     = 26
	mapRingbuf       = 27
	mapBloom         = 30
	mapUserRingbuf   = 31
	mapArena         = 33
)

// What programs that are attached to kernel functions are (enum bpf_prog_type, enum bpf_attach_type), and functions in BTF
// (BTF_KIND_FUNC).
const (
	progTracing  = 26
	attachFentry = 24
	attachFexit  = 25
	kindFunc     = 12
)

// Flags that change what the kernel reads (BPF_F_*).
const (
	flagValueInModule = 1 << 15 // of BPF_MAP_CREATE, BPF_F_VTYPE_BTF_OBJ_FD: the type of the value is a module's
	flagAllCPUs       = 1 << 4  // of BPF_MAP_UPDATE_ELEM, BPF_F_ALL_CPUS: one value for all
)

// Helpers (enum bpf_func_id).
const (
	helperTracePrintk        = 6
	helperProbeReadKernel    = 113
	helperCopyFromUser       = 148
	helperSysBPF             = 166
	helperBTFFindByNameKind  = 167
	helperSysClose           = 168
	helperKallsymsLookupName = 179
)

// Sizes and limits, in bytes.
const (
	attrSize     = 168 // sizeof(union bpf_attr), Linux 7.3
	objNameLen   = 16  // BPF_OBJ_NAME_LEN
	licenseLen   = 127 // the longest license (bpf_prog_load, kernel/bpf/syscall.c), and tracepoint's name
	fdSize       = 4   // of a descriptor in fd_array
	funcInfoSize = 8   // struct bpf_func_info
	lineInfoSize = 16  // struct bpf_line_info
	coreReloSize = 16  // struct bpf_core_relo
	pageSize     = 4096

	btfMagic      = 0xeb9f // include/uapi/linux/btf.h
	btfHeaderSize = 24     // struct btf_header without its layout section

	// structOpsHeader is where the table is in struct bpf_struct_ops_value (kernel/bpf/bpf_struct_ops.c).
	structOpsHeader = 64
)

// Where the fields of union bpf_attr are, in bytes. The end of a command is that of its last field: nothing may be set after
// it.
const (
	// BPF_MAP_CREATE
	createType         = 0
	createKeySize      = 4
	createValueSize    = 8
	createMaxEntries   = 12
	createFlags        = 16
	createInnerMapFD   = 20
	createNUMANode     = 24
	createName         = 28
	createIfIndex      = 44
	createBTFFD        = 48
	createKeyType      = 52
	createValueType    = 56
	createKernelValue  = 60
	createExtra        = 64
	createValueBTFFD   = 72
	createExclHash     = 80
	createExclHashSize = 88
	createEnd          = 92

	// BPF_MAP_UPDATE_ELEM
	updateMapFD = 0
	updateKey   = 8
	updateValue = 16
	updateFlags = 24
	updateEnd   = 32

	// BPF_MAP_FREEZE
	freezeMapFD = 0
	freezeEnd   = 4

	// BPF_BTF_LOAD
	btfData        = 0
	btfSize        = 16
	btfLogTrueSize = 28
	btfEnd         = 40

	// BPF_PROG_LOAD
	progType            = 0
	progInsnCnt         = 4
	progInsns           = 8
	progLicense         = 16
	progLogLevel        = 24
	progFlags           = 44
	progName            = 48
	progIfIndex         = 64
	progAttachType      = 68
	progBTFFD           = 72
	progFuncInfoRecSize = 76
	progFuncInfo        = 80
	progFuncInfoCnt     = 88
	progLineInfoRecSize = 92
	progLineInfo        = 96
	progLineInfoCnt     = 104
	progAttachBTFID     = 108
	progAttachFD        = 112 // attach_prog_fd or attach_btf_obj_fd
	progCOREReloCnt     = 116
	progFDArray         = 120
	progCORERelos       = 128
	progCOREReloRecSize = 136
	progLogTrueSize     = 140
	progTokenFD         = 144 // what comes from here on no loader sets: the signature's fields, too

	// BPF_LINK_CREATE
	linkProgFD     = 0
	linkAttachType = 8

	// BPF_RAW_TRACEPOINT_OPEN
	rawTracepointName   = 0
	rawTracepointProgFD = 8
)

// Where the fields of struct bpf_map are that it promises to loaders, in bytes (BUILD_BUG_ON in map_create,
// kernel/bpf/syscall.c).
const (
	bpfMapSHA  = 0
	bpfMapExcl = bpfMapSHA + sha256.Size
	bpfMapSize = 64 // as much as there is to look at
)
