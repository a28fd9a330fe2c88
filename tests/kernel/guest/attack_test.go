//go:build linux

package guest

import (
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	bpfruntime "github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/story"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// The seed's attack, with a signed loader of a compiled object: the host makes the metadata map without excl_prog_hash,
// freezes it, has it hashed while it is what the signer saw, and changes it with another program that holds the map. Kernels
// of scheme A load the loader, which refuses to run; those of scheme B refuse to load it. Either way nothing is made.
func TestMapThatIsNotExclusive(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	b := readBundle(t, guest.DataDir+"/features/data.bpfl")
	enroll(t)
	for _, change := range []bool{false, true} {
		before := objects(t)
		plan := host.Plan{Shared: true}
		if change {
			plan.Meanwhile = func(m *ebpf.Map) error { return host.Rewrite(m, len(b.Blob)-8, ^uint64(0)) }
		}
		o := host.Play(b, s, plan)
		qt.Assert(t, qt.IsNil(o.Prepare))
		if s == bundle.Payload {
			qt.Check(t, qt.ErrorIs(o.Load, unix.EPERM))
		} else {
			qt.Assert(t, qt.IsNil(o.Load))
			qt.Check(t, qt.Equals(o.Retval, -int32(unix.EINVAL)), qt.Commentf("changed: %v", change))
		}
		nothingLeft(t, before)
	}
}

// The same with an exclusive map that was never hashed: scheme A's loader sees no digest, scheme B's kernel hashes itself.
func TestMapThatIsNotHashed(t *testing.T) {
	if scheme(t) != bundle.MapHash {
		t.Skip("only loaders of scheme A need the host to have the map hashed")
	}
	enroll(t)
	before := objects(t)
	o := host.Play(readBundle(t, guest.DataDir+"/features/data.bpfl"), bundle.MapHash, host.Plan{Unhashed: true})
	qt.Assert(t, qt.IsNil(o.Load))
	qt.Check(t, qt.Equals(o.Retval, -int32(unix.EINVAL)))
	nothingLeft(t, before)
}

// With an exclusive map the other program is not let in the first place.
func TestExclusiveMapKeepsOthersOut(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	o := host.Play(readBundle(t, guest.DataDir+"/features/data.bpfl"), s, host.Plan{Meanwhile: func(m *ebpf.Map) error {
		return host.Rewrite(m, 0, 0)
	}})
	qt.Check(t, qt.ErrorIs(o.Prepare, unix.EACCES))
}

// The story of both CVEs, as tests/attack tells it. Loaders from before the fix are fooled by every kernel that loads them,
// today's by none.
func TestStory(t *testing.T) {
	needExclusive(t)
	noBTF := bpfruntime.Probe().BTFError != nil
	for _, c := range story.Chapters(scheme(t)) {
		t.Run(c.Name(), func(t *testing.T) {
			enroll(t)
			before := objects(t)
			var told strings.Builder
			teller := &story.Teller{Out: &told, Signer: signer(t)}
			got, err := teller.Tell(c)
			t.Log(told.String())
			qt.Assert(t, qt.IsNil(err))
			want := c.Want
			if noBTF { // and so nobody may look at a map
				want = map[bool]story.Verdict{true: story.KernelRefused, false: story.KeptOut}[c.Shared]
			}
			qt.Check(t, qt.Equals(got, want))
			nothingLeft(t, before)
		})
	}
}

// enroll adds the development certificate to a session keyring, which belongs to this thread: the kernel makes one that is
// not linked to the user's. So the thread ends with the test, and no other finds itself with that.
func enroll(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlock
	qt.Assert(t, qt.IsNil(host.Enroll(guest.ReadData(t, "cert.der"))))
}
