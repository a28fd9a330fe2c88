//go:build linux

package guest

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// each runs a test for every bundle that the host has put into the guest.
func each(t *testing.T, test func(t *testing.T, file, name string)) {
	files, err := filepath.Glob(filepath.Join(guest.DataDir, "*.bpfl"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(files) > 0))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bpfl")
		t.Run(name, func(t *testing.T) { test(t, file, name) })
	}
}

// load loads a bundle as a host does: signed, by the session keyring's key.
func load(t *testing.T, file string) *runtime.Collection {
	t.Helper()
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	pins, err := os.MkdirTemp("/sys/fs/bpf", "test")
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { os.RemoveAll(pins) })
	c, err := runtime.LoadBytes(t.Context(), raw, runtime.Enroll(guest.ReadData(t, "cert.der")), runtime.PinRoot(pins))
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { qt.Check(t, qt.IsNil(c.Close())) })
	return c
}

// loadModules loads the kernel's modules that some objects call, in the order of their names.
func loadModules(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(guest.DataDir, "modules", "*.ko"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(files) > 0))
	for _, file := range files {
		image, err := os.ReadFile(file)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsNil(unix.InitModule(image, "")), qt.Commentf(file))
	}
}

// otherTags are the objects whose programs have other instructions than bpftool's, and why.
var otherTags = map[string]string{
	"linked_list":      "bpf_obj_new is given the id of a type; in our BTF, which has only what the object uses, it is another",
	"module_functions": "a call names its module by a place in fd_array, which is another",
}

// theirsFails are the objects for which bpftool makes a loader that fails, and why.
var theirsFails = map[string]string{
	"dynptr_success": tooMany,
	"exceptions":     tooMany,
	"rcu_read_lock":  tooMany,
}

const tooMany = "it keeps descriptors on its stack, which has no room for those of so many programs"

// Every object loads, signed; and what bpftool's loader of the same object makes is the same in all that the kernel tells
// of it.
func TestObject(t *testing.T) {
	loadModules(t)
	each(t, func(t *testing.T, file, name string) {
		ours := load(t, file)
		qt.Check(t, qt.IsNotNil(ours.SignedBy))
		raw, err := os.ReadFile(filepath.Join(guest.DataDir, name+".json"))
		if err != nil {
			return // the host knows of which bpftool makes no loader
		}
		var s bpftool.Skeleton
		qt.Assert(t, qt.IsNil(json.Unmarshal(raw, &s)))
		fds, err := runTheirs(t, &s)
		for errors.Is(err, unix.EAGAIN) { // a signal of Go's scheduler, while the loader loaded a program
			fds, err = runTheirs(t, &s)
		}
		if why := theirsFails[name]; why != "" && err != nil {
			t.Logf("not compared: %v: %s", err, why)
			return
		}
		qt.Assert(t, qt.IsNil(err), qt.Commentf("bpftool's loader"))
		var maps, theirMaps []bpfMap
		var programs, theirPrograms []program
		for _, m := range ours.Maps {
			maps = append(maps, mapOf(t, m.FD()))
		}
		for _, p := range ours.Programs {
			programs = append(programs, programOf(t, p.FD()))
		}
		for _, fd := range fds.maps {
			theirMaps = append(theirMaps, mapOf(t, fd))
		}
		for _, fd := range fds.programs {
			theirPrograms = append(theirPrograms, programOf(t, fd))
		}
		if why := otherTags[name]; why != "" {
			for _, list := range [][]program{programs, theirPrograms} {
				for i := range list {
					qt.Check(t, qt.Not(qt.Equals(list[i].Tag, "")), qt.Commentf(why))
					list[i].Tag = ""
				}
			}
		}
		for i, m := range theirMaps {
			if m.Type == ebpf.PerfEventArray.String() && !slices.Contains(maps, m) {
				// Sized by nobody: bpftool counts the CPUs of the machine that it runs on, ours has room for those of any host.
				theirMaps[i].Entries = 4096
			}
		}
		byMap := func(a, b bpfMap) int { return strings.Compare(a.Name+a.Contents, b.Name+b.Contents) }
		byProgram := func(a, b program) int {
			return cmp.Or(strings.Compare(a.Name+a.Tag, b.Name+b.Tag), a.Verified-b.Verified, a.Instructions-b.Instructions)
		}
		slices.SortFunc(maps, byMap)
		slices.SortFunc(theirMaps, byMap)
		slices.SortFunc(programs, byProgram)
		slices.SortFunc(theirPrograms, byProgram)
		qt.Check(t, qt.DeepEquals(programs, theirPrograms))
		qt.Check(t, qt.DeepEquals(maps, theirMaps))
	})
}

type descriptors struct{ maps, programs []int }

// runTheirs does what a light skeleton does (tools/lib/bpf/skel_internal.h): the map, the loader, a run.
func runTheirs(t *testing.T, s *bpftool.Skeleton) (descriptors, error) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "__loader.map", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(s.Blob)), MaxEntries: 1})
	qt.Assert(t, qt.IsNil(err))
	defer m.Close()
	qt.Assert(t, qt.IsNil(m.Put(uint32(0), s.Blob)))
	license := []byte("Dual BSD/GPL\x00")
	fdArray := []int32{int32(m.FD())}
	loadAttr := struct {
		typ, count           uint32
		insns, license       uint64
		level, logSize       uint32
		log                  uint64
		version, flags       uint32
		name                 [16]byte
		ifindex, expected    uint32
		btf, funcSize        uint32
		funcs                uint64
		funcCount, lineSize  uint32
		lines                uint64
		lineCount, attachBTF uint32
		attach, coreCount    uint32
		fdArray              uint64
	}{
		typ: uint32(ebpf.Syscall), count: uint32(len(s.Insns) / 8), insns: address(t, &s.Insns[0]), license: address(t, &license[0]), flags: unix.BPF_F_SLEEPABLE,
		fdArray: address(t, &fdArray[0]),
	}
	prog, err := bpf(5, unsafe.Pointer(&loadAttr), unsafe.Sizeof(loadAttr))
	if err != nil {
		return descriptors{}, err
	}
	defer unix.Close(prog)

	ctx := make([]byte, s.CtxSize)
	binary.NativeEndian.PutUint32(ctx, uint32(len(ctx)))
	run := struct {
		prog, retval, in, out uint32
		data, dataOut         uint64
		repeat, duration      uint32
		ctxIn, ctxOut         uint32
		ctx, ctxOutAddr       uint64
		flags, cpu, batch     uint32
		_                     uint32
	}{prog: uint32(prog), ctxIn: uint32(len(ctx)), ctx: address(t, &ctx[0])}
	if _, err := bpf(10, unsafe.Pointer(&run), unsafe.Sizeof(run)); err != nil {
		return descriptors{}, err
	}
	if ret := int32(run.retval); ret < 0 {
		return descriptors{}, unix.Errno(-ret)
	}
	var d descriptors
	const header, mapDesc = 24, 16
	for i := range s.Maps {
		d.maps = add(t, d.maps, ctx[header+mapDesc*i:])
	}
	for i := range s.Programs {
		d.programs = add(t, d.programs, ctx[header+mapDesc*len(s.Maps)+4*i:])
	}
	return d, nil
}

// add appends a descriptor, unless it stands for what was not loaded.
func add(t *testing.T, to []int, at []byte) []int {
	fd := int(int32(binary.NativeEndian.Uint32(at)))
	if fd <= 0 {
		return to
	}
	t.Cleanup(func() { unix.Close(fd) })
	return append(to, fd)
}

// address is where a value stays until the test ends.
func address[T any](t *testing.T, p *T) uint64 {
	var pin goruntime.Pinner
	pin.Pin(p)
	t.Cleanup(pin.Unpin)
	return uint64(uintptr(unsafe.Pointer(p)))
}

// bpf is bpf(2), again when one of the signals that Go's scheduler sends came in between.
func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	for errno == unix.EAGAIN || errno == unix.EINTR {
		fd, _, errno = unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	}
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
