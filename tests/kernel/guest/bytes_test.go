//go:build linux

package guest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/victim"
)

// nextMapID is the number of a map that is made now. The kernel gives them out in turn, so what is made between two of these
// can be counted, even if it is gone again.
func nextMapID(t *testing.T) ebpf.MapID {
	t.Helper()
	m, err := host.CreateMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	qt.Assert(t, qt.IsNil(err))
	defer m.Close()
	info, err := m.Info()
	qt.Assert(t, qt.IsNil(err))
	id, is := info.ID()
	qt.Assert(t, qt.IsTrue(is))
	return id
}

// parts are what a kernel gets to see of a bundle.
func parts(b *bundle.Bundle, s bundle.Scheme) map[string][]byte {
	return map[string][]byte{"instructions": b.Loader(s).Insns, "blob": b.Blob, "signature": b.Loader(s).Signatures[0].CMS}
}

// Every byte of a small bundle changed, one at a time: the kernel refuses, or the loader does before it makes anything. The
// host gives the attacker its best chance: the metadata map is exclusive to the changed loader, frozen and hashed. The
// loader would make one map; none is made but the host's own.
func TestEveryByte(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	f := &selftest{T: t, scheme: s, id: signer(t)}
	b := f.victim(victim.Variable)
	for name, part := range parts(b, s) {
		t.Run(name, func(t *testing.T) {
			enroll(t)
			before, first := objects(t), nextMapID(t)
			var taken []int
			errs := map[string]int{}
			made := 0
			for at := range part {
				part[at] ^= 1
				o := host.Play(b, s, host.Plan{})
				part[at] ^= 1
				qt.Assert(t, qt.IsNil(o.Prepare))
				errs[o.String()]++
				if o.Err() == nil {
					o.Close(b)
					taken = append(taken, at)
					made++
				}
			}
			t.Logf("%d bytes: %v", len(part), errs)
			if name == "signature" {
				qt.Check(t, qt.IsTrue(!slices.ContainsFunc(taken, func(at int) bool { return !unreadCMS(at) })), qt.Commentf("%v", taken))
			} else {
				qt.Check(t, qt.HasLen(taken, 0))
			}
			qt.Check(t, qt.Equals(int(nextMapID(t)-first)-1, len(part)+made), qt.Commentf("a map a try, of the host's"))
			nothingLeft(t, before)
		})
	}
	// The bundle is what it was.
	t.Run("unchanged", func(t *testing.T) {
		enroll(t)
		o := host.Play(b, s, host.Plan{})
		qt.Check(t, qt.IsNil(o.Err()))
		o.Close(b)
	})
}

// Every other byte of the file: what the bundle says of itself. It is refused, or what is loaded is what was signed, under
// whatever name. Nothing is loaded without a signature, and nothing panics.
func TestEveryByteOfTheContainer(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	enroll(t)
	f := &selftest{T: t, scheme: s, id: signer(t)}
	b := f.victim(victim.Variable)
	file, err := bundle.Encode(b)
	qt.Assert(t, qt.IsNil(err))
	covered := make([]bool, len(file))
	for _, l := range b.Loaders {
		for name, part := range parts(b, l.Scheme) {
			at := bytes.Index(file, part)
			qt.Assert(t, qt.IsTrue(at >= 0), qt.Commentf("%s", name))
			for i := range part {
				covered[at+i] = true
			}
		}
	}
	before := objects(t)
	tried, loaded := 0, 0
	for at := range file {
		if covered[at] {
			continue
		}
		for _, bit := range []byte{1, 0x80} {
			changed := bytes.Clone(file)
			changed[at] ^= bit
			tried++
			c, err := runtime.LoadBytes(t.Context(), changed, runtime.Keyring(host.SessionKeyring), runtime.VerifierLog(0))
			if err != nil {
				continue
			}
			loaded++
			if c.SignedBy == nil {
				t.Errorf("byte %d: loaded without a signature", at)
			}
			for name, m := range c.Maps {
				var value [8]byte
				qt.Check(t, qt.IsNil(m.Lookup(uint32(0), &value)), qt.Commentf("byte %d: map %s", at, name))
				qt.Check(t, qt.Equals(nativeEndian.Uint64(value[:]), uint64(victim.Magic)), qt.Commentf("byte %d: map %s", at, name))
			}
			for name, p := range c.Programs {
				qt.Check(t, qt.Equals(p.Type(), ebpf.SocketFilter), qt.Commentf("byte %d: program %s", at, name))
			}
			qt.Check(t, qt.IsNil(c.Close()), qt.Commentf("byte %d", at))
		}
	}
	t.Logf("%d changes to %d bytes: %d loaded what was signed, the others were refused", tried, tried/2, loaded)
	qt.Check(t, qt.IsTrue(tried > 200 && loaded < tried))
	nothingLeft(t, before)
}
