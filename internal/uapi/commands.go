package uapi

// Cmd is a command of bpf(2): enum bpf_cmd, include/uapi/linux/bpf.h.
type Cmd uint32

const (
	CmdMapCreate Cmd = iota
	CmdMapLookupElem
	CmdMapUpdateElem
	CmdMapDeleteElem
	CmdMapGetNextKey
	CmdProgLoad
	CmdObjPin
	CmdObjGet
	CmdProgAttach
	CmdProgDetach
	CmdProgRun // also called BPF_PROG_TEST_RUN
	CmdProgGetNextID
	CmdMapGetNextID
	CmdProgGetFDByID
	CmdMapGetFDByID
	CmdObjGetInfoByFD
	CmdProgQuery
	CmdRawTracepointOpen
	CmdBTFLoad
	CmdBTFGetFDByID
	CmdTaskFDQuery
	CmdMapLookupAndDeleteElem
	CmdMapFreeze
	CmdBTFGetNextID
	CmdMapLookupBatch
	CmdMapLookupAndDeleteBatch
	CmdMapUpdateBatch
	CmdMapDeleteBatch
	CmdLinkCreate
	CmdLinkUpdate
	CmdLinkGetFDByID
	CmdLinkGetNextID
	CmdEnableStats
	CmdIterCreate
	CmdLinkDetach
	CmdProgBindMap
	CmdTokenCreate
	CmdProgStreamReadByFD
	CmdProgAssocStructOps
)

var cmdNames = [...]string{
	CmdMapCreate:               "MAP_CREATE",
	CmdMapLookupElem:           "MAP_LOOKUP_ELEM",
	CmdMapUpdateElem:           "MAP_UPDATE_ELEM",
	CmdMapDeleteElem:           "MAP_DELETE_ELEM",
	CmdMapGetNextKey:           "MAP_GET_NEXT_KEY",
	CmdProgLoad:                "PROG_LOAD",
	CmdObjPin:                  "OBJ_PIN",
	CmdObjGet:                  "OBJ_GET",
	CmdProgAttach:              "PROG_ATTACH",
	CmdProgDetach:              "PROG_DETACH",
	CmdProgRun:                 "PROG_RUN",
	CmdProgGetNextID:           "PROG_GET_NEXT_ID",
	CmdMapGetNextID:            "MAP_GET_NEXT_ID",
	CmdProgGetFDByID:           "PROG_GET_FD_BY_ID",
	CmdMapGetFDByID:            "MAP_GET_FD_BY_ID",
	CmdObjGetInfoByFD:          "OBJ_GET_INFO_BY_FD",
	CmdProgQuery:               "PROG_QUERY",
	CmdRawTracepointOpen:       "RAW_TRACEPOINT_OPEN",
	CmdBTFLoad:                 "BTF_LOAD",
	CmdBTFGetFDByID:            "BTF_GET_FD_BY_ID",
	CmdTaskFDQuery:             "TASK_FD_QUERY",
	CmdMapLookupAndDeleteElem:  "MAP_LOOKUP_AND_DELETE_ELEM",
	CmdMapFreeze:               "MAP_FREEZE",
	CmdBTFGetNextID:            "BTF_GET_NEXT_ID",
	CmdMapLookupBatch:          "MAP_LOOKUP_BATCH",
	CmdMapLookupAndDeleteBatch: "MAP_LOOKUP_AND_DELETE_BATCH",
	CmdMapUpdateBatch:          "MAP_UPDATE_BATCH",
	CmdMapDeleteBatch:          "MAP_DELETE_BATCH",
	CmdLinkCreate:              "LINK_CREATE",
	CmdLinkUpdate:              "LINK_UPDATE",
	CmdLinkGetFDByID:           "LINK_GET_FD_BY_ID",
	CmdLinkGetNextID:           "LINK_GET_NEXT_ID",
	CmdEnableStats:             "ENABLE_STATS",
	CmdIterCreate:              "ITER_CREATE",
	CmdLinkDetach:              "LINK_DETACH",
	CmdProgBindMap:             "PROG_BIND_MAP",
	CmdTokenCreate:             "TOKEN_CREATE",
	CmdProgStreamReadByFD:      "PROG_STREAM_READ_BY_FD",
	CmdProgAssocStructOps:      "PROG_ASSOC_STRUCT_OPS",
}

// String returns the command's name without BPF_, "MAP_CREATE", or "unknown(57)".
func (c Cmd) String() string { return nameOf(cmdNames[:], uint32(c)) }

// Known reports whether this package has a name for the command.
func (c Cmd) Known() bool { return int64(c) < int64(len(cmdNames)) }
