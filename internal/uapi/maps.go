package uapi

// MapType is the type of a map: enum bpf_map_type, include/uapi/linux/bpf.h.
type MapType uint32

const (
	MapTypeUnspec MapType = iota
	MapTypeHash
	MapTypeArray
	MapTypeProgArray
	MapTypePerfEventArray
	MapTypePerCPUHash
	MapTypePerCPUArray
	MapTypeStackTrace
	MapTypeCgroupArray
	MapTypeLRUHash
	MapTypeLRUPerCPUHash
	MapTypeLPMTrie
	MapTypeArrayOfMaps
	MapTypeHashOfMaps
	MapTypeDevMap
	MapTypeSockMap
	MapTypeCPUMap
	MapTypeXSKMap
	MapTypeSockHash
	MapTypeCgroupStorage
	MapTypeReuseportSockArray
	MapTypePerCPUCgroupStorage
	MapTypeQueue
	MapTypeStack
	MapTypeSkStorage
	MapTypeDevMapHash
	MapTypeStructOps
	MapTypeRingBuf
	MapTypeInodeStorage
	MapTypeTaskStorage
	MapTypeBloomFilter
	MapTypeUserRingBuf
	MapTypeCgrpStorage
	MapTypeArena
	MapTypeInsnArray
	MapTypeRHash
)

var mapTypeNames = [...]string{
	MapTypeUnspec:              "unspec",
	MapTypeHash:                "hash",
	MapTypeArray:               "array",
	MapTypeProgArray:           "prog_array",
	MapTypePerfEventArray:      "perf_event_array",
	MapTypePerCPUHash:          "percpu_hash",
	MapTypePerCPUArray:         "percpu_array",
	MapTypeStackTrace:          "stack_trace",
	MapTypeCgroupArray:         "cgroup_array",
	MapTypeLRUHash:             "lru_hash",
	MapTypeLRUPerCPUHash:       "lru_percpu_hash",
	MapTypeLPMTrie:             "lpm_trie",
	MapTypeArrayOfMaps:         "array_of_maps",
	MapTypeHashOfMaps:          "hash_of_maps",
	MapTypeDevMap:              "devmap",
	MapTypeSockMap:             "sockmap",
	MapTypeCPUMap:              "cpumap",
	MapTypeXSKMap:              "xskmap",
	MapTypeSockHash:            "sockhash",
	MapTypeCgroupStorage:       "cgroup_storage",
	MapTypeReuseportSockArray:  "reuseport_sockarray",
	MapTypePerCPUCgroupStorage: "percpu_cgroup_storage",
	MapTypeQueue:               "queue",
	MapTypeStack:               "stack",
	MapTypeSkStorage:           "sk_storage",
	MapTypeDevMapHash:          "devmap_hash",
	MapTypeStructOps:           "struct_ops",
	MapTypeRingBuf:             "ringbuf",
	MapTypeInodeStorage:        "inode_storage",
	MapTypeTaskStorage:         "task_storage",
	MapTypeBloomFilter:         "bloom_filter",
	MapTypeUserRingBuf:         "user_ringbuf",
	MapTypeCgrpStorage:         "cgrp_storage",
	MapTypeArena:               "arena",
	MapTypeInsnArray:           "insn_array",
	MapTypeRHash:               "rhash",
}

// String returns the type's name, "percpu_array", or "unknown(57)".
func (t MapType) String() string { return nameOf(mapTypeNames[:], uint32(t)) }
