//go:build linux

package guest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/victim"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// What a case of the kernel's selftest ends with, beside the errnos.
const (
	ok     = unix.Errno(0)
	absent = unix.Errno(1 << 12) // the selftest of that scheme's kernels has no such case
)

// upstream are the cases of the kernel's selftest `signed_loader`, by their names there, with loaders of ours in the place of
// libbpf's: the 29 of Linux 7.3, where kernels attest by scheme payload, and 4 more of Linux 7.2, where it is map-hash. Each
// ends with what that scheme's kernels promise.
var upstream = []struct {
	name             string
	payload, mapHash unix.Errno
	do               func(f *selftest) error
}{
	{"loadtime_no_map", ok, absent, func(f *selftest) error { return f.loadtime(f.victim(victim.Minimal)) }},
	{"loadtime_with_map", ok, absent, func(f *selftest) error { return f.loadtime(f.victim(victim.Array)) }},
	{"metadata_match", ok, ok, func(f *selftest) error { return f.loadtime(f.unsigned(victim.Minimal)) }},
	{"signature_enforced", unix.EBADMSG, unix.EBADMSG, func(f *selftest) error { return f.junk(host.Load{FDArray: []int32{-1}}) }},
	{"signed_nonexcl_fd_array_rejected", unix.EPERM, absent, func(f *selftest) error {
		return f.bound(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, ValueSize: f.blobSize()}, true)
	}},
	{"signed_unfrozen_fd_array_rejected", unix.EPERM, absent, func(f *selftest) error {
		return f.bound(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, ValueSize: f.blobSize(), ExclProgHash: f.hash()}, false)
	}},
	{"signed_nonarray_fd_array_rejected", unix.EINVAL, absent, func(f *selftest) error {
		return f.bound(host.MapSpec{Type: unix.BPF_MAP_TYPE_HASH, ValueSize: 4, ExclProgHash: f.hash()}, false)
	}},
	{"signed_btf_fd_array_rejected", unix.EACCES, absent, (*selftest).boundBTF},
	{"signed_module_kfunc_rejected", unix.EACCES, absent, (*selftest).moduleKfunc},
	{"signature_failure_logs", unix.EBADMSG, absent, (*selftest).failureLogs},
	{"signature_too_large", unix.EINVAL, unix.EINVAL, func(f *selftest) error {
		return f.junk(host.Load{FDArray: []int32{-1}, SignatureSize: 64 << 20})
	}},
	{"signature_zero_size", unix.EINVAL, absent, (*selftest).zeroSize},
	{"signature_bad_keyring", unix.EINVAL, unix.EINVAL, func(f *selftest) error {
		return f.junk(host.Load{FDArray: []int32{-1}, Keyring: 1<<31 - 1})
	}},
	{"metadata_ctx_max_entries_ignored", ok, ok, (*selftest).maxEntriesIgnored},
	{"metadata_ctx_initial_value_ignored", ok, ok, (*selftest).initialValueIgnored},
	{"signature_authenticates_insns", unix.EKEYREJECTED, unix.EKEYREJECTED, func(f *selftest) error {
		b := f.victim(victim.Minimal)
		qt.Assert(f, qt.IsNil(f.loadtime(b)))
		insns := b.Loader(f.scheme).Insns
		insns[len(insns)/2] ^= 0xff // and the map is made exclusive to that
		return f.loadtime(b)
	}},
	{"signature_authenticates_metadata", unix.EKEYREJECTED, absent, func(f *selftest) error {
		b := f.victim(victim.Minimal)
		qt.Assert(f, qt.IsNil(f.loadtime(b)))
		b.Blob[len(b.Blob)/2] ^= 0xff
		return f.loadtime(b)
	}},
	{"hash_requires_frozen", unix.EPERM, unix.EPERM, func(f *selftest) error {
		_, err := host.Hash(f.exclusive(0, 64), sha256.Size)
		return err
	}},
	{"no_update_after_freeze", unix.EPERM, unix.EPERM, func(f *selftest) error {
		m := f.exclusive(0, 64)
		qt.Assert(f, qt.IsNil(m.Put(uint32(0), make([]byte, 64))))
		qt.Assert(f, qt.IsNil(m.Freeze()))
		return m.Put(uint32(0), make([]byte, 64))
	}},
	{"freeze_writable_mmap", unix.EBUSY, unix.EBUSY, func(f *selftest) error {
		m := f.exclusive(unix.BPF_F_MMAPABLE, 4096)
		memory, err := unix.Mmap(m.FD(), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		qt.Assert(f, qt.IsNil(err))
		defer unix.Munmap(memory)
		return m.Freeze()
	}},
	{"no_writable_mmap_frozen", unix.EPERM, unix.EPERM, func(f *selftest) error {
		m := f.exclusive(unix.BPF_F_MMAPABLE, 4096)
		qt.Assert(f, qt.IsNil(m.Freeze()))
		_, err := unix.Mmap(m.FD(), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	}},
	{"map_hash_matches_libbpf", ok, ok, func(f *selftest) error { return f.hashed(1, sha256.Size) }}, // and Go's SHA-256
	{"map_hash_multi_element", ok, ok, func(f *selftest) error { return f.hashed(8, sha256.Size) }},
	{"map_hash_bad_size", unix.EINVAL, unix.EINVAL, func(f *selftest) error { return f.hashed(1, sha256.Size/2) }},
	{"map_hash_unsupported_type", unix.EINVAL, unix.EINVAL, func(f *selftest) error {
		_, err := host.Hash(f.newMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 4}), sha256.Size)
		return err
	}},
	{"lsm_signature_verdict", ok, ok, (*selftest).lsmVerdict},
	{"signed_no_fd_array", unix.EKEYREJECTED, absent, func(f *selftest) error {
		insns := encode(asm.Mov.Imm(asm.R0, 0), asm.Return())
		load := f.signed(insns, insns)
		p, err := load.Do()
		qt.Assert(f, qt.IsNil(err))
		p.Close()
		load.Insns = encode(asm.Mov.Imm(asm.R0, 1), asm.Return())
		return f.load(load)
	}},
	{"signed_map_by_fd_rejected", unix.EINVAL, absent, func(f *selftest) error {
		m := f.newMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		insns := encode(asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return())
		return f.load(f.signed(insns, insns))
	}},
	{"signed_sparse_fd_array_rejected", unix.EACCES, absent, func(f *selftest) error {
		m := f.newMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		insns := encode(loadMapIndex(0), asm.Mov.Imm(asm.R0, 0), asm.Return())
		load := f.signed(insns, insns)
		load.FDArray = []int32{int32(m.FD())}
		return f.load(load)
	}},

	// Of Linux 7.2 only: what a map-hash loader itself has to see to.
	{"metadata_check_shape", absent, ok, (*selftest).checkShape},
	{"metadata_sha_mismatch", absent, unix.EINVAL, func(f *selftest) error {
		b := f.victim(victim.Minimal)
		b.Blob[0] ^= 0xff
		return f.refusedByLoader(b, host.Plan{})
	}},
	{"metadata_not_exclusive", absent, unix.EINVAL, func(f *selftest) error {
		return f.refusedByLoader(f.victim(victim.Minimal), host.Plan{Shared: true})
	}},
	{"metadata_hash_not_computed", absent, unix.EINVAL, func(f *selftest) error {
		return f.refusedByLoader(f.victim(victim.Minimal), host.Plan{Unhashed: true})
	}},
}

// The kernel's own cases hold for our loaders.
func TestUpstream(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	// As many as upstream has.
	count := map[bundle.Scheme]int{}
	for _, c := range upstream {
		if c.payload != absent {
			count[bundle.Payload]++
		}
		if c.mapHash != absent {
			count[bundle.MapHash]++
		}
	}
	qt.Assert(t, qt.DeepEquals(count, map[bundle.Scheme]int{bundle.Payload: 29, bundle.MapHash: 20}))
	qt.Assert(t, qt.HasLen(upstream, 33))

	id := signer(t)
	for _, c := range upstream {
		want := map[bundle.Scheme]unix.Errno{bundle.Payload: c.payload, bundle.MapHash: c.mapHash}[s]
		if want == absent {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			enroll(t)
			before := objects(t)
			f := &selftest{T: t, scheme: s, id: id}
			err := c.do(f)
			if want == ok {
				qt.Check(t, qt.IsNil(err))
			} else {
				qt.Check(t, qt.ErrorIs(err, want))
			}
			t.Cleanup(func() { nothingLeft(t, before) })
			f.close()
		})
	}
}

// selftest is what the cases share.
type selftest struct {
	*testing.T
	scheme bundle.Scheme
	id     *signing.Identity
	open   []interface{ Close() error }
}

func (f *selftest) close() {
	for _, c := range f.open {
		c.Close()
	}
}

// signer is the holder of the development key.
func signer(t *testing.T) *signing.Identity {
	t.Helper()
	key, err := signing.LoadKey(filepath.Join(guest.DataDir, "key.pem"), nil)
	qt.Assert(t, qt.IsNil(err))
	cert, err := certs.Load(filepath.Join(guest.DataDir, "cert.der"))
	qt.Assert(t, qt.IsNil(err))
	return &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
}

func (f *selftest) unsigned(make func(binary.ByteOrder) (*bundle.Bundle, error)) *bundle.Bundle {
	f.Helper()
	b, err := make(nativeEndian)
	qt.Assert(f, qt.IsNil(err))
	return b
}

func (f *selftest) victim(make func(binary.ByteOrder) (*bundle.Bundle, error)) *bundle.Bundle {
	f.Helper()
	b := f.unsigned(make)
	qt.Assert(f, qt.IsNil(f.id.Sign(b, bundle.KindDevelopment)))
	return b
}

func (f *selftest) blobSize() uint32 { return uint32(len(f.victim(victim.Minimal).Blob)) }

func (f *selftest) hash() []byte {
	h := f.victim(victim.Minimal).Loader(f.scheme).ProgHash()
	return h[:]
}

// signed is the load of a program whose signature covers what it is told to.
func (f *selftest) signed(insns, payload []byte) host.Load {
	f.Helper()
	digest := sha256.Sum256(payload)
	der, err := cms.Sign(f.id.Signer, f.id.Certificate, f.id.Hash, digest[:])
	qt.Assert(f, qt.IsNil(err))
	return host.Load{Insns: insns, Signature: der, SignatureSize: uint32(len(der)), Keyring: host.SessionKeyring}
}

// load does a load that is to fail.
func (f *selftest) load(l host.Load) error {
	p, err := l.Do()
	if err == nil {
		p.Close()
	}
	return err
}

// junk loads the loader with a signature that is none.
func (f *selftest) junk(l host.Load) error {
	l.Insns = f.victim(victim.Minimal).Loader(f.scheme).Insns
	l.Signature = append([]byte{0x30, 0x42, 0x13, 0x37}, make([]byte, 60)...)
	if l.SignatureSize == 0 {
		l.SignatureSize = uint32(len(l.Signature))
	}
	if l.Keyring == 0 {
		l.Keyring = host.SessionKeyring
	}
	return f.load(l)
}

func (f *selftest) zeroSize() error {
	return f.load(host.Load{
		Insns: f.victim(victim.Minimal).Loader(f.scheme).Insns, FDArray: []int32{-1}, Signature: make([]byte, 64), Keyring: host.SessionKeyring,
	})
}

// bound loads the loader, badly signed, with a map of the host's choice: what is wrong with that is told first.
func (f *selftest) bound(spec host.MapSpec, freeze bool) error {
	spec.KeySize, spec.MaxEntries = 4, 1
	m := f.newMap(spec)
	if freeze {
		qt.Assert(f, qt.IsNil(m.Freeze()))
	}
	return f.junk(host.Load{FDArray: []int32{int32(m.FD())}, FDArrayCnt: 1})
}

func (f *selftest) newMap(spec host.MapSpec) *ebpf.Map {
	f.Helper()
	m, err := host.CreateMap(spec)
	qt.Assert(f, qt.IsNil(err))
	f.open = append(f.open, m)
	return m
}

// exclusive makes an array that is some program's alone.
func (f *selftest) exclusive(flags, size uint32) *ebpf.Map {
	f.Helper()
	return f.newMap(host.MapSpec{
		Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: size, MaxEntries: 1, Flags: flags, ExclProgHash: append([]byte{1}, make([]byte, 31)...),
	})
}

// loadtime is an honest load: what the bundle names is there, and can be looked at.
func (f *selftest) loadtime(b *bundle.Bundle) error {
	o := host.Play(b, f.scheme, host.Plan{})
	defer o.Close(b)
	if err := o.Err(); err != nil {
		return err
	}
	for _, p := range b.Programs {
		qt.Check(f, qt.IsTrue(o.FD(p.Ctx) > 0))
	}
	for _, m := range b.Maps {
		qt.Check(f, qt.IsTrue(o.FD(m.Ctx) > 0))
	}
	return nil
}

// refusedByLoader is a load that the kernel lets happen and the loader does not.
func (f *selftest) refusedByLoader(b *bundle.Bundle, plan host.Plan) error {
	o := host.Play(b, f.scheme, plan)
	qt.Assert(f, qt.IsNil(o.Load))
	qt.Check(f, qt.IsTrue(bytes.Count(o.Context[bundle.CtxHeaderSize:], []byte{0}) == len(o.Context)-bundle.CtxHeaderSize))
	return o.Err()
}

// metadata is the loader's map, as an honest host makes it.
func (f *selftest) metadata(b *bundle.Bundle) *ebpf.Map {
	f.Helper()
	h := b.Loader(f.scheme).ProgHash()
	m, err := host.Metadata(b.Blob, h[:])
	qt.Assert(f, qt.IsNil(err))
	f.open = append(f.open, m)
	qt.Assert(f, qt.IsNil(m.Freeze()))
	return m
}

// types loads some BTF.
func (f *selftest) types() *btf.Handle {
	f.Helper()
	b, err := btf.NewBuilder([]btf.Type{&btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}, nil)
	qt.Assert(f, qt.IsNil(err))
	h, err := btf.NewHandle(b)
	qt.Assert(f, qt.IsNil(err))
	f.open = append(f.open, h)
	return h
}

func (f *selftest) boundBTF() error {
	b := f.victim(victim.Minimal)
	load := host.Loader(b, f.scheme, f.metadata(b))
	load.FDArray, load.FDArrayCnt = append(load.FDArray, int32(f.types().FD())), 2
	return f.load(load)
}

func (f *selftest) moduleKfunc() error {
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: 1, Offset: 1}
	insns := encode(call, asm.Mov.Imm(asm.R0, 0), asm.Return())
	load := f.signed(insns, insns)
	load.FDArray = []int32{-1, int32(f.types().FD())}
	return f.load(load)
}

func (f *selftest) failureLogs() error {
	log := make([]byte, 1024)
	err := f.junk(host.Load{Log: log})
	qt.Check(f, qt.StringContains(unix.ByteSliceToString(log), "signature verification failed"))
	return err
}

// The descriptors in the context begin, as libbpf's do, with {s32 fd; u32 max_entries; u64 initial_value} a map. Ours has no
// use for the last two.
func (f *selftest) tamperContext(b *bundle.Bundle, tamper func(context []byte)) host.Outcome {
	o := host.Play(b, f.scheme, host.Plan{Context: tamper})
	qt.Assert(f, qt.IsNil(o.Err()))
	return o
}

func (f *selftest) maxEntriesIgnored() error {
	b := f.victim(victim.Array)
	const bogus = 0x4000
	o := f.tamperContext(b, func(context []byte) {
		for at := bundle.CtxHeaderSize; at+4 <= len(context); at += 4 { // wherever it might be looked for
			nativeEndian.PutUint32(context[at:], bogus)
		}
	})
	defer o.Close(b)
	m := f.made(o.FD(b.Maps[0].Ctx))
	qt.Check(f, qt.Equals(m.MaxEntries(), b.Maps[0].MaxEntries))
	qt.Check(f, qt.Equals(m.MaxEntries(), 4))
	return nil
}

func (f *selftest) initialValueIgnored() error {
	b := f.victim(victim.Variable)
	evil := bytes.Repeat([]byte{0xaa}, 64)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&evil[0])
	for _, flags := range []uint32{0, 1} { // 1: as if the address were the kernel's
		o := f.tamperContext(b, func(context []byte) {
			nativeEndian.PutUint32(context[4:], flags)
			for at := bundle.CtxHeaderSize; at+8 <= len(context); at += 8 {
				nativeEndian.PutUint64(context[at:], uint64(uintptr(unsafe.Pointer(&evil[0]))))
			}
		})
		var got [8]byte
		qt.Check(f, qt.IsNil(f.made(o.FD(b.Maps[0].Ctx)).Lookup(uint32(0), &got)))
		qt.Check(f, qt.Equals(nativeEndian.Uint64(got[:]), uint64(victim.Magic)))
		o.Close(b)
	}
	return nil
}

// made opens a map that a loader has left.
func (f *selftest) made(fd int) *ebpf.Map {
	f.Helper()
	fd, err := unix.Dup(fd)
	qt.Assert(f, qt.IsNil(err))
	m, err := ebpf.NewMapFromFD(fd)
	qt.Assert(f, qt.IsNil(err))
	f.open = append(f.open, m)
	return m
}

// hashed compares the kernel's digest of an array with Go's.
func (f *selftest) hashed(elements uint32, buffer int) error {
	const size = 64
	m := f.newMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: size, MaxEntries: elements})
	var all []byte
	for i := range elements {
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(int(i)*31 + j*7 + 1)
		}
		qt.Assert(f, qt.IsNil(m.Put(i, value)))
		all = append(all, value...)
	}
	qt.Assert(f, qt.IsNil(m.Freeze()))
	got, err := host.Hash(m, buffer)
	if err != nil {
		return err
	}
	want := sha256.Sum256(all)
	qt.Check(f, qt.DeepEquals(got, want[:]))
	return nil
}

// checkShape reads the check at the beginning of a map-hash loader: exclusivity, then the digest's four words, each of
// them with a way out that calls nothing; and nothing before.
func (f *selftest) checkShape() error {
	b := f.victim(victim.Minimal)
	insns, err := insn.Decode(b.Loader(bundle.MapHash).Insns, nativeEndian)
	qt.Assert(f, qt.IsNil(err))
	sum := sha256.Sum256(b.Blob)
	first := slices.IndexFunc(insns, insn.Insn.IsCall)
	out := slices.IndexFunc(insns, func(i insn.Insn) bool { return i.Op == insn.Exit })
	qt.Assert(f, qt.IsTrue(out < first))
	type read struct {
		Op   uint8
		Off  int16
		With uint64
	}
	var reads []read
	var with uint64
	for at, i := range insns[:out] {
		switch i.Op {
		case insn.LoadImm64:
			if i.Src == 0 {
				with = uint64(uint32(i.Imm)) | uint64(uint32(insns[at+1].Imm))<<32
			}
		case insn.LoadW, insn.LoadDW:
			reads = append(reads, read{Op: i.Op, Off: i.Off})
		case insn.XorK:
			reads[len(reads)-1].With = uint64(i.Imm)
		case insn.XorX:
			reads[len(reads)-1].With = with
		case insn.JeqK: // all differences together: the only jump goes on when there is none
			qt.Check(f, qt.Equals(i.Imm, 0))
			qt.Check(f, qt.Equals(at+1, out))
			qt.Check(f, qt.Equals(at+1+int(i.Off), out+1))
		}
	}
	want := []read{{insn.LoadW, sha256.Size, 1}}
	for i := range 4 {
		want = append(want, read{insn.LoadDW, int16(8 * i), nativeEndian.Uint64(sum[8*i:])})
	}
	qt.Check(f, qt.DeepEquals(reads, want))
	return nil
}

// An LSM sees whose signature it was, at the load.
func (f *selftest) lsmVerdict() error {
	const unsigned, verified = 0, 1 // enum bpf_sig_verdict
	const noKeyring, user = 0, 4    // enum bpf_sig_keyring
	watch := newWatcher(f)
	b := f.unsigned(victim.Minimal)
	load := host.Loader(b, f.scheme, f.metadata(b))
	qt.Assert(f, qt.IsNil(f.load(load)))
	qt.Check(f, qt.Equals(watch.take(f), seen{Loads: 1, Verdict: unsigned, Type: noKeyring}))

	serial, err := unix.KeyctlGetKeyringID(host.SessionKeyring, false)
	qt.Assert(f, qt.IsNil(err))
	want := seen{Loads: 1, Verdict: verified, Type: user, Serial: int32(serial)}
	if f.scheme == bundle.Payload {
		// The signature of the instructions alone: a loader whose map is not signed is seen as signed, and still refused.
		insns := b.Loader(f.scheme).Insns
		load = f.signed(insns, insns)
		load.FDArray = []int32{int32(f.metadata(b).FD())}
		qt.Check(f, qt.ErrorIs(f.load(load), unix.EACCES))
		qt.Check(f, qt.Equals(watch.take(f), want))
	}
	b = f.victim(victim.Minimal)
	qt.Assert(f, qt.IsNil(f.load(host.Loader(b, f.scheme, f.metadata(b)))))
	qt.Check(f, qt.Equals(watch.take(f), want))
	return nil
}

// seen is what a watcher has seen.
type seen struct{ Loads, Verdict, Type, Serial int32 }

// watcher is an LSM program that looks at the signature of what this thread loads.
type watcher struct{ values *ebpf.Map }

func newWatcher(f *selftest) *watcher {
	f.Helper()
	spec, err := btf.LoadKernelSpec()
	qt.Assert(f, qt.IsNil(err))
	aux, sig := member(f.T, spec, "bpf_prog", "aux"), member(f.T, spec, "bpf_prog_aux", "sig")
	if sig == nil {
		f.Skip("before Linux 7.2 an LSM does not see who signed")
	}
	within := func(name string) int16 {
		s, is := btf.UnderlyingType(sig.Type).(*btf.Struct)
		qt.Assert(f, qt.IsTrue(is))
		i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
		qt.Assert(f, qt.IsTrue(i >= 0), qt.Commentf("%s", name))
		return int16(sig.Offset.Bytes() + s.Members[i].Offset.Bytes())
	}
	size := func(name string) asm.Size {
		s := btf.UnderlyingType(sig.Type).(*btf.Struct)
		i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
		n, err := btf.Sizeof(s.Members[i].Type)
		qt.Assert(f, qt.IsNil(err))
		return map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}[n]
	}
	w := &watcher{values: f.newMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1})}
	insns := append(onThread("out"),
		asm.LoadMem(asm.R6, asm.R6, 0, asm.DWord), // the program
		asm.LoadMem(asm.R6, asm.R6, int16(aux.Offset.Bytes()), asm.DWord),
		asm.LoadMapValue(asm.R1, w.values.FD(), 0),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(asm.R1, 0, asm.R2, asm.Word),
	)
	for i, name := range []string{"verdict", "keyring_type", "keyring_serial"} {
		insns = append(insns,
			asm.LoadMem(asm.R2, asm.R6, within(name), size(name)),
			asm.StoreMem(asm.R1, int16(4*(i+1)), asm.R2, asm.Word),
		)
	}
	f.open = append(f.open, attachLSM(f.T, "bpf_prog_load", append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), asm.Return())))
	return w
}

// take returns what was seen since the last time.
func (w *watcher) take(f *selftest) (s seen) {
	f.Helper()
	qt.Assert(f, qt.IsNil(w.values.Lookup(uint32(0), &s)))
	qt.Assert(f, qt.IsNil(w.values.Put(uint32(0), &seen{})))
	return s
}

// onThread goes to a label unless it is this thread's doing, and keeps the context in R6.
func onThread(other string) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetCurrentPidTgid.Call(),
		asm.LSh.Imm(asm.R0, 32),
		asm.RSh.Imm(asm.R0, 32),
		asm.JNE.Imm(asm.R0, int32(unix.Gettid()), other),
	}
}

// attachLSM attaches a program to a hook. It is there until the returned link is closed.
func attachLSM(t *testing.T, hook string, insns asm.Instructions) link.Link {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: hook, License: "GPL", Instructions: insns,
	})
	if errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("this kernel has no LSM programs: %v", err)
	}
	qt.Assert(t, qt.IsNil(err))
	defer p.Close()
	l, err := link.AttachLSM(link.LSMOptions{Program: p})
	qt.Assert(t, qt.IsNil(err))
	return l
}

// loadMapIndex is a reference to the map at an index of fd_array.
func loadMapIndex(i int64) asm.Instruction {
	const pseudoMapIdx = 5
	load := asm.LoadImm(asm.R1, i, asm.DWord)
	load.Src = pseudoMapIdx
	return load
}

// encode returns instructions as bytes.
func encode(insns ...asm.Instruction) []byte {
	var b bytes.Buffer
	for _, i := range insns {
		if _, err := i.Marshal(&b, nativeEndian); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}
