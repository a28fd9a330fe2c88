//go:build linux

package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	bpfruntime "github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/matrix"
	"github.com/rules-bpf/rules_bpf/tests/attack/story"
)

// here skips where this machine's own kernel cannot be attacked: without a signature, only a map-hash loader's checks show.
func here(t *testing.T) *bpfruntime.Features {
	t.Helper()
	f := bpfruntime.Probe()
	if len(f.MissingCapabilities) > 0 || !f.InitialUserNamespace {
		t.Skip("no right to load BPF")
	}
	return f
}

// The story, on this machine's own kernel.
func TestStory(t *testing.T) {
	if here(t).Scheme != bundle.MapHash {
		t.Skip("this kernel's scheme is not map-hash, whose loaders check themselves even when they are not signed")
	}
	for _, c := range story.Chapters(bundle.MapHash) {
		t.Run(c.Name(), func(t *testing.T) {
			var told strings.Builder
			got, err := (&story.Teller{Out: &told}).Tell(c)
			t.Log(told.String())
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(got, c.Want))
		})
	}
}

// The kernel of the machines that this is developed on is in docs/kernels.md too. UPDATE=1 in the environment writes its row.
func TestMatrix(t *testing.T) {
	here(t)
	var uts unix.Utsname
	qt.Assert(t, qt.IsNil(unix.Uname(&uts)))
	kernel := unix.ByteSliceToString(uts.Release[:]) + ", without signatures"
	file := "../../docs/kernels.md"
	text, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	update := os.Getenv("UPDATE") != ""
	committed := matrix.Row(string(text), kernel)
	if committed == nil && !update {
		t.Skip("not a kernel of docs/kernels.md")
	}
	row, err := matrix.Measure(nil)
	qt.Assert(t, qt.IsNil(err))
	if !update {
		qt.Assert(t, qt.DeepEquals(row, committed))
		return
	}
	if !slices.Equal(row, committed) {
		changed, err := matrix.Update(string(text), kernel, row)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte(changed), 0o644)))
	}
}
