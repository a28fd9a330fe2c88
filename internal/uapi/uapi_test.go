package uapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// sameNumbers compares our numbers with another library's.
func sameNumbers[Ours, Theirs ~uint32 | ~uint64 | ~int32 | ~int](t *testing.T, pairs map[Ours]Theirs) {
	t.Helper()
	qt.Check(t, qt.Not(qt.HasLen(pairs, 0)))
	for ours, theirs := range pairs {
		qt.Check(t, qt.Equals(uint64(ours), uint64(theirs)), qt.Commentf("%v: %v", ours, theirs))
	}
}

func TestCilium(t *testing.T) {
	sameNumbers(t, ciliumMapTypes)
	sameNumbers(t, ciliumProgTypes)
	sameNumbers(t, ciliumAttachTypes)
	sameNumbers(t, ciliumHelpers)
}

// Each number has a name of its own, and those that have none say so.
func TestNames(t *testing.T) {
	for what, name := range map[string]func(n uint32) string{
		"command":      func(n uint32) string { return uapi.Cmd(n).String() },
		"map type":     func(n uint32) string { return uapi.MapType(n).String() },
		"program type": func(n uint32) string { return uapi.ProgType(n).String() },
		"attach type":  func(n uint32) string { return uapi.AttachType(n).String() },
	} {
		seen := map[string]uint32{}
		for n := range uint32(200) {
			text := name(n)
			other, twice := seen[text]
			qt.Check(t, qt.IsFalse(twice), qt.Commentf("%s %d and %d are both %q", what, n, other, text))
			seen[text] = n
			if strings.HasPrefix(text, "unknown") {
				qt.Check(t, qt.Equals(text, fmt.Sprintf("unknown(%d)", n)))
			}
		}
		qt.Check(t, qt.Equals(name(199), "unknown(199)"))
		qt.Check(t, qt.Equals(name(1<<32-1), "unknown(4294967295)"))
	}
	qt.Check(t, qt.Equals(uapi.Helper(36).String(), "bpf_probe_write_user"))
	for _, h := range []uapi.Helper{-1, 0, 9999} {
		qt.Check(t, qt.Equals(h.String(), fmt.Sprintf("helper %d", h)))
	}
	qt.Check(t, qt.IsTrue(uapi.CmdProgAssocStructOps.Known()))
	qt.Check(t, qt.IsFalse((uapi.CmdProgAssocStructOps + 1).Known()))
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		flags fmt.Stringer
		want  string
	}{
		{uapi.MapFlags(0), "none"},
		{uapi.MapFlagReadOnlyProg | uapi.MapFlagMmapable, "rdonly_prog,mmapable"},
		{uapi.MapFlagRBOverwrite | 1<<20 | 1<<31, "rb_overwrite,0x80100000"},
		{uapi.MapFlags(1 << 30), "0x40000000"},
		{uapi.ProgFlagSleepable, "sleepable"},
		{uapi.ProgFlagTestRegInvariants | 1<<8, "test_reg_invariants,0x100"},
		{uapi.UpdateFlags(0), "none"},
		{uapi.UpdateFlagAllCPUs | 1<<32, "all_cpus,0x100000000"},
	} {
		qt.Check(t, qt.Equals(test.flags.String(), test.want))
	}
}

func TestFieldName(t *testing.T) {
	qt.Check(t, qt.Equals(uapi.CmdProgLoad.FieldName(uapi.ProgLoadInsns), "insns"))
	qt.Check(t, qt.Equals(uapi.CmdProgLoad.FieldName(uapi.ProgLoadInsns+1), ""))
	qt.Check(t, qt.Equals(uapi.CmdProgLoad.FieldName(-1), ""))
	qt.Check(t, qt.Equals(uapi.CmdProgLoad.FieldName(1<<32), ""))
	qt.Check(t, qt.Equals(uapi.CmdObjPin.FieldName(0), ""))
}

func TestLogLevels(t *testing.T) {
	sameNumbers(t, map[int]uint32{
		uapi.LogBranches:     uint32(ebpf.LogLevelBranch),
		uapi.LogInstructions: uint32(ebpf.LogLevelInstruction),
		uapi.LogStats:        uint32(ebpf.LogLevelStats),
	})
}

func TestHelpers(t *testing.T) {
	n, ok := uapi.HelperSysBPF.Args()
	qt.Check(t, qt.IsTrue(ok))
	qt.Check(t, qt.Equals(n, 3))
	_, ok = uapi.Helper(57).Args()
	qt.Check(t, qt.IsFalse(ok))
}
