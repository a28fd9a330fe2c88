package uapi

// Where the fields of union bpf_attr are for the commands that loaders use (include/uapi/linux/bpf.h), in bytes.

// Fields of BPF_MAP_CREATE.
const (
	MapCreateType              = 0
	MapCreateKeySize           = 4
	MapCreateValueSize         = 8
	MapCreateMaxEntries        = 12
	MapCreateFlags             = 16
	MapCreateInnerMapFD        = 20
	MapCreateNUMANode          = 24
	MapCreateName              = 28
	MapCreateIfIndex           = 44
	MapCreateBTFFD             = 48
	MapCreateKeyTypeID         = 52
	MapCreateValueTypeID       = 56
	MapCreateKernelValueTypeID = 60
	MapCreateExtra             = 64
	MapCreateValueTypeBTFFD    = 72
	MapCreateTokenFD           = 76
	MapCreateExclProgHash      = 80
	MapCreateExclProgHashSize  = 88
)

// Fields of BPF_MAP_UPDATE_ELEM.
const (
	MapUpdateMapFD = 0
	MapUpdateKey   = 8
	MapUpdateValue = 16
	MapUpdateFlags = 24
)

// Fields of BPF_MAP_FREEZE.
const (
	MapFreezeMapFD = 0
)

// Fields of BPF_PROG_LOAD.
const (
	ProgLoadType            = 0
	ProgLoadInsnCnt         = 4
	ProgLoadInsns           = 8
	ProgLoadLicense         = 16
	ProgLoadLogLevel        = 24
	ProgLoadLogSize         = 28
	ProgLoadLogBuf          = 32
	ProgLoadKernVersion     = 40
	ProgLoadFlags           = 44
	ProgLoadName            = 48
	ProgLoadIfIndex         = 64
	ProgLoadAttachType      = 68
	ProgLoadBTFFD           = 72
	ProgLoadFuncInfoRecSize = 76
	ProgLoadFuncInfo        = 80
	ProgLoadFuncInfoCnt     = 88
	ProgLoadLineInfoRecSize = 92
	ProgLoadLineInfo        = 96
	ProgLoadLineInfoCnt     = 104
	ProgLoadAttachBTFID     = 108
	ProgLoadAttachBTFObjFD  = 112
	ProgLoadCOREReloCnt     = 116
	ProgLoadFDArray         = 120
	ProgLoadCORERelos       = 128
	ProgLoadCOREReloRecSize = 136
	ProgLoadLogTrueSize     = 140
	ProgLoadTokenFD         = 144
	ProgLoadFDArrayCnt      = 148
	ProgLoadSignature       = 152
	ProgLoadSignatureSize   = 160
	ProgLoadKeyringID       = 164
)

// Fields of BPF_BTF_LOAD.
const (
	BTFLoadBTF         = 0
	BTFLoadLogBuf      = 8
	BTFLoadSize        = 16
	BTFLoadLogSize     = 20
	BTFLoadLogLevel    = 24
	BTFLoadLogTrueSize = 28
	BTFLoadFlags       = 32
	BTFLoadTokenFD     = 36
)

// attrFields are the kernel's names of the fields, by command and offset.
var attrFields = map[Cmd]map[uint32]string{
	CmdMapCreate: {
		MapCreateType:              "map_type",
		MapCreateKeySize:           "key_size",
		MapCreateValueSize:         "value_size",
		MapCreateMaxEntries:        "max_entries",
		MapCreateFlags:             "map_flags",
		MapCreateInnerMapFD:        "inner_map_fd",
		MapCreateNUMANode:          "numa_node",
		MapCreateName:              "map_name",
		MapCreateIfIndex:           "map_ifindex",
		MapCreateBTFFD:             "btf_fd",
		MapCreateKeyTypeID:         "btf_key_type_id",
		MapCreateValueTypeID:       "btf_value_type_id",
		MapCreateKernelValueTypeID: "btf_vmlinux_value_type_id",
		MapCreateExtra:             "map_extra",
		MapCreateValueTypeBTFFD:    "value_type_btf_obj_fd",
		MapCreateTokenFD:           "map_token_fd",
		MapCreateExclProgHash:      "excl_prog_hash",
		MapCreateExclProgHashSize:  "excl_prog_hash_size",
	},
	CmdMapUpdateElem: {
		MapUpdateMapFD: "map_fd",
		MapUpdateKey:   "key",
		MapUpdateValue: "value",
		MapUpdateFlags: "flags",
	},
	CmdMapFreeze: {
		MapFreezeMapFD: "map_fd",
	},
	CmdProgLoad: {
		ProgLoadType:            "prog_type",
		ProgLoadInsnCnt:         "insn_cnt",
		ProgLoadInsns:           "insns",
		ProgLoadLicense:         "license",
		ProgLoadLogLevel:        "log_level",
		ProgLoadLogSize:         "log_size",
		ProgLoadLogBuf:          "log_buf",
		ProgLoadKernVersion:     "kern_version",
		ProgLoadFlags:           "prog_flags",
		ProgLoadName:            "prog_name",
		ProgLoadIfIndex:         "prog_ifindex",
		ProgLoadAttachType:      "expected_attach_type",
		ProgLoadBTFFD:           "prog_btf_fd",
		ProgLoadFuncInfoRecSize: "func_info_rec_size",
		ProgLoadFuncInfo:        "func_info",
		ProgLoadFuncInfoCnt:     "func_info_cnt",
		ProgLoadLineInfoRecSize: "line_info_rec_size",
		ProgLoadLineInfo:        "line_info",
		ProgLoadLineInfoCnt:     "line_info_cnt",
		ProgLoadAttachBTFID:     "attach_btf_id",
		ProgLoadAttachBTFObjFD:  "attach_btf_obj_fd",
		ProgLoadCOREReloCnt:     "core_relo_cnt",
		ProgLoadFDArray:         "fd_array",
		ProgLoadCORERelos:       "core_relos",
		ProgLoadCOREReloRecSize: "core_relo_rec_size",
		ProgLoadLogTrueSize:     "log_true_size",
		ProgLoadTokenFD:         "prog_token_fd",
		ProgLoadFDArrayCnt:      "fd_array_cnt",
		ProgLoadSignature:       "signature",
		ProgLoadSignatureSize:   "signature_size",
		ProgLoadKeyringID:       "keyring_id",
	},
	CmdBTFLoad: {
		BTFLoadBTF:         "btf",
		BTFLoadLogBuf:      "btf_log_buf",
		BTFLoadSize:        "btf_size",
		BTFLoadLogSize:     "btf_log_size",
		BTFLoadLogLevel:    "btf_log_level",
		BTFLoadLogTrueSize: "btf_log_true_size",
		BTFLoadFlags:       "btf_flags",
		BTFLoadTokenFD:     "btf_token_fd",
	},
}

// FieldName returns the name of the field of union bpf_attr that begins at an offset, as the command reads it; empty if
// none does.
func (c Cmd) FieldName(off int64) string {
	if off != int64(uint32(off)) {
		return ""
	}
	return attrFields[c][uint32(off)]
}
