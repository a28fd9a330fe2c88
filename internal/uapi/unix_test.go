//go:build linux

package uapi_test

import (
	"testing"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// What golang.org/x/sys has of include/uapi/linux/bpf.h.
var unixCommands = map[uapi.Cmd]int{
	uapi.CmdMapCreate:               unix.BPF_MAP_CREATE,
	uapi.CmdMapLookupElem:           unix.BPF_MAP_LOOKUP_ELEM,
	uapi.CmdMapUpdateElem:           unix.BPF_MAP_UPDATE_ELEM,
	uapi.CmdMapDeleteElem:           unix.BPF_MAP_DELETE_ELEM,
	uapi.CmdMapGetNextKey:           unix.BPF_MAP_GET_NEXT_KEY,
	uapi.CmdProgLoad:                unix.BPF_PROG_LOAD,
	uapi.CmdObjPin:                  unix.BPF_OBJ_PIN,
	uapi.CmdObjGet:                  unix.BPF_OBJ_GET,
	uapi.CmdProgAttach:              unix.BPF_PROG_ATTACH,
	uapi.CmdProgDetach:              unix.BPF_PROG_DETACH,
	uapi.CmdProgRun:                 unix.BPF_PROG_RUN,
	uapi.CmdProgGetNextID:           unix.BPF_PROG_GET_NEXT_ID,
	uapi.CmdMapGetNextID:            unix.BPF_MAP_GET_NEXT_ID,
	uapi.CmdProgGetFDByID:           unix.BPF_PROG_GET_FD_BY_ID,
	uapi.CmdMapGetFDByID:            unix.BPF_MAP_GET_FD_BY_ID,
	uapi.CmdObjGetInfoByFD:          unix.BPF_OBJ_GET_INFO_BY_FD,
	uapi.CmdProgQuery:               unix.BPF_PROG_QUERY,
	uapi.CmdRawTracepointOpen:       unix.BPF_RAW_TRACEPOINT_OPEN,
	uapi.CmdBTFLoad:                 unix.BPF_BTF_LOAD,
	uapi.CmdBTFGetFDByID:            unix.BPF_BTF_GET_FD_BY_ID,
	uapi.CmdTaskFDQuery:             unix.BPF_TASK_FD_QUERY,
	uapi.CmdMapLookupAndDeleteElem:  unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM,
	uapi.CmdMapFreeze:               unix.BPF_MAP_FREEZE,
	uapi.CmdBTFGetNextID:            unix.BPF_BTF_GET_NEXT_ID,
	uapi.CmdMapLookupBatch:          unix.BPF_MAP_LOOKUP_BATCH,
	uapi.CmdMapLookupAndDeleteBatch: unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH,
	uapi.CmdMapUpdateBatch:          unix.BPF_MAP_UPDATE_BATCH,
	uapi.CmdMapDeleteBatch:          unix.BPF_MAP_DELETE_BATCH,
	uapi.CmdLinkCreate:              unix.BPF_LINK_CREATE,
	uapi.CmdLinkUpdate:              unix.BPF_LINK_UPDATE,
	uapi.CmdLinkGetFDByID:           unix.BPF_LINK_GET_FD_BY_ID,
	uapi.CmdLinkGetNextID:           unix.BPF_LINK_GET_NEXT_ID,
	uapi.CmdEnableStats:             unix.BPF_ENABLE_STATS,
	uapi.CmdIterCreate:              unix.BPF_ITER_CREATE,
	uapi.CmdLinkDetach:              unix.BPF_LINK_DETACH,
	uapi.CmdProgBindMap:             unix.BPF_PROG_BIND_MAP,
}

var unixMapFlags = map[uapi.MapFlags]int{
	uapi.MapFlagNoPrealloc:    unix.BPF_F_NO_PREALLOC,
	uapi.MapFlagNoCommonLRU:   unix.BPF_F_NO_COMMON_LRU,
	uapi.MapFlagNUMANode:      unix.BPF_F_NUMA_NODE,
	uapi.MapFlagReadOnly:      unix.BPF_F_RDONLY,
	uapi.MapFlagWriteOnly:     unix.BPF_F_WRONLY,
	uapi.MapFlagStackBuildID:  unix.BPF_F_STACK_BUILD_ID,
	uapi.MapFlagZeroSeed:      unix.BPF_F_ZERO_SEED,
	uapi.MapFlagReadOnlyProg:  unix.BPF_F_RDONLY_PROG,
	uapi.MapFlagWriteOnlyProg: unix.BPF_F_WRONLY_PROG,
	uapi.MapFlagClone:         unix.BPF_F_CLONE,
	uapi.MapFlagMmapable:      unix.BPF_F_MMAPABLE,
	uapi.MapFlagPreserveElems: unix.BPF_F_PRESERVE_ELEMS,
	uapi.MapFlagInnerMap:      unix.BPF_F_INNER_MAP,
	uapi.MapFlagLink:          unix.BPF_F_LINK,
	uapi.MapFlagPathFD:        unix.BPF_F_PATH_FD,
}

var unixProgFlags = map[uapi.ProgFlags]int{
	uapi.ProgFlagStrictAlignment:   unix.BPF_F_STRICT_ALIGNMENT,
	uapi.ProgFlagAnyAlignment:      unix.BPF_F_ANY_ALIGNMENT,
	uapi.ProgFlagTestRndHi32:       unix.BPF_F_TEST_RND_HI32,
	uapi.ProgFlagTestStateFreq:     unix.BPF_F_TEST_STATE_FREQ,
	uapi.ProgFlagSleepable:         unix.BPF_F_SLEEPABLE,
	uapi.ProgFlagXDPHasFrags:       unix.BPF_F_XDP_HAS_FRAGS,
	uapi.ProgFlagXDPDevBoundOnly:   unix.BPF_F_XDP_DEV_BOUND_ONLY,
	uapi.ProgFlagTestRegInvariants: unix.BPF_F_TEST_REG_INVARIANTS,
}

var unixUpdateFlags = map[uapi.UpdateFlags]int{
	uapi.UpdateFlagNoExist: unix.BPF_NOEXIST,
	uapi.UpdateFlagExist:   unix.BPF_EXIST,
	uapi.UpdateFlagLock:    unix.BPF_F_LOCK,
}

func TestUnix(t *testing.T) {
	sameNumbers(t, unixCommands)
	sameNumbers(t, unixMapFlags)
	sameNumbers(t, unixProgFlags)
	sameNumbers(t, unixUpdateFlags)
	qt.Check(t, qt.Equals(uapi.ObjNameLen, unix.BPF_OBJ_NAME_LEN))
	qt.Check(t, qt.Equals(uapi.EINVAL, int(unix.EINVAL)))
	qt.Check(t, qt.Equals(uapi.EALREADY, int(unix.EALREADY)))
	qt.Check(t, qt.Equals(uapi.EPERM, int(unix.EPERM)))
	qt.Check(t, qt.Equals(uapi.ENOENT, int(unix.ENOENT)))
	qt.Check(t, qt.Equals(uapi.EACCES, int(unix.EACCES)))
}
