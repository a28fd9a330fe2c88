//go:build linux

package runtime

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"reflect"
	"runtime"
	"structs"
	"sync"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"
)

// Types as gogen declares them.
type (
	// flags is struct { __u8 version; __u32 mode : 3, rest : 21; __u32 id; __u8 kind; __u64 time; } of C.
	flags struct {
		_       structs.HostLayout
		Version uint8
		_       [3]byte
		Id      uint32
		Kind    uint8
		_       [7]byte
		Time    uint64
	}
	// address is union { __u16 port; struct { __u32 a, b; } v6; } of C.
	address struct {
		_    structs.HostLayout
		Port uint16
		_    [6]byte
	}
	// nest has both, in arrays and with padding at its end.
	nest struct {
		_     structs.HostLayout
		Each  [2]flags
		Names [3]struct {
			_ structs.HostLayout
			C [2]int8
			_ [2]byte
		}
		To   address
		Last bool
		_    [3]byte
	}
	// opaque is a type of which Go knows nothing but the size.
	opaque struct{ _ [8]byte }
	// packed is struct { __u8 a; __u32 b; } __attribute__((packed)): the layout in C, not in Go, has no gap.
	packed struct {
		_ structs.HostLayout
		A uint8
		B uint32
	}
)

// A variable of each type is set in the same memory: what named fields show is written, and no other byte is touched.
func TestSetKeepsOtherBytes(t *testing.T) {
	one := flags{Version: 1, Id: 0x02020202, Kind: 3, Time: 0x0404040404040404}
	const f = "1...22223.......44444444"
	checkSet(t, "flags", one, f)
	checkSet(t, "union", address{Port: 0x0505}, "55......")
	checkSet(t, "array", [3]flags{one, one, one}, f+f+f)
	checkSet(t, "packed", packed{A: 6, B: 0x07070707}, "67777")
	checkSet(t, "opaque", opaque{}, "........")
	checkSet(t, "bytes as bytes", [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, "12345678")
	checkSet(t, "one word of two", uint32(0x09090909), "9999")
	checkSet(t, "empty", struct{}{}, "")
	n := nest{Each: [2]flags{one, one}, To: address{Port: 0x0505}, Last: true}
	for i := range n.Names {
		n.Names[i].C = [2]int8{6, 6}
	}
	checkSet(t, "nested", n, f+f+"66..66..66.."+"55......"+"1...")
}

// checkSet sets a variable among other bytes, in a slice and in a map of the kernel. In want, digits are the value's bytes
// and dots those that keep what they were.
func checkSet[T any](t *testing.T, name string, value T, want string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		const offset, after = 16, 8
		before := make([]byte, offset+len(want)+after)
		for i := range before {
			before[i] = byte(0x80 + i)
		}
		wanted := bytes.Clone(before)
		for i, c := range want {
			if c != '.' {
				wanted[offset+i] = byte(c - '0')
			}
		}
		l, err := layoutOf(reflect.TypeFor[T]())
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(l.size, len(want)))
		qt.Assert(t, qt.Equals(l.size, binary.Size(value)))

		w := &written{bytes: bytes.Clone(before)}
		qt.Assert(t, qt.IsNil(l.write(w, offset, value)))
		qt.Assert(t, qt.DeepEquals(w.bytes, wanted))
		qt.Assert(t, qt.Equals(w.count, len(want)-bytes.Count([]byte(want), []byte("."))))

		needBPF(t)
		m := dataMap(t, before)
		v := NewVariable[T](&Collection{Maps: map[string]*ebpf.Map{".data": m}}, ".data", name, offset)
		qt.Assert(t, qt.IsNil(v.Set(value)))
		qt.Assert(t, qt.DeepEquals(contents(t, m), wanted))
		got, err := v.Get()
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsTrue(reflect.DeepEqual(got, value)), qt.Commentf("%+v", got))
		qt.Assert(t, qt.IsNil(v.Set(got)))
		qt.Assert(t, qt.DeepEquals(contents(t, m), wanted))
	})
}

// written is memory that counts what is written to it.
type written struct {
	bytes []byte
	count int
}

func (w *written) WriteAt(p []byte, off int64) (int, error) {
	w.count += len(p)
	return copy(w.bytes[off:], p), nil
}

// dataMap makes a map as that of a data section: an array that user space can map.
func dataMap(t *testing.T, value []byte) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: handName(), Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { m.Close() })
	qt.Assert(t, qt.IsNil(m.Put(uint32(0), value)))
	return m
}

func contents(t *testing.T, m *ebpf.Map) []byte {
	t.Helper()
	value, err := m.LookupBytes(uint32(0))
	qt.Assert(t, qt.IsNil(err))
	return value
}

// What Get, a change and Set leave in memory is what they leave with a variable of cilium/ebpf, which copies the whole value
// both ways.
func TestVariableLikeCilium(t *testing.T) {
	needBPF(t)
	likeCilium(t, "bit-fields", func(v *flags) { v.Id = 7 })
	likeCilium(t, "union", func(v *address) { v.Port = 7 })
	likeCilium(t, "nested", func(v *nest) { v.Each[1].Kind, v.Names[2].C[1], v.To.Port, v.Last = 7, 7, 7, true })
}

func likeCilium[T any](t *testing.T, name string, change func(*T)) {
	t.Run(name, func(t *testing.T) {
		var value T
		before := make([]byte, unsafe.Sizeof(value))
		for i := range before {
			before[i] = byte(0x80 + i)
		}
		spec := &ebpf.CollectionSpec{
			Maps: map[string]*ebpf.MapSpec{".data": {
				Name: handName(), Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(before)), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
				Contents: []ebpf.MapKV{{Key: uint32(0), Value: before}},
			}},
			Variables: map[string]*ebpf.VariableSpec{"v": {Name: "v", SectionName: ".data", Value: before}},
		}
		theirs, err := ebpf.NewCollection(spec)
		qt.Assert(t, qt.IsNil(err))
		defer theirs.Close()
		qt.Assert(t, qt.IsNil(theirs.Variables["v"].Get(&value)))
		change(&value)
		qt.Assert(t, qt.IsNil(theirs.Variables["v"].Set(&value)))

		m := dataMap(t, before)
		v := NewVariable[T](&Collection{Maps: map[string]*ebpf.Map{".data": m}}, ".data", "v", 0)
		value, err = v.Get()
		qt.Assert(t, qt.IsNil(err))
		change(&value)
		qt.Assert(t, qt.IsNil(v.Set(value)))

		qt.Assert(t, qt.DeepEquals(contents(t, m), contents(t, theirs.Maps[".data"])))
		qt.Assert(t, qt.Not(qt.DeepEquals(contents(t, m), before)))
	})
}

// Bytes that Set has no business with are not even written with what they hold: a program that changes them at the same
// time does not lose its changes.
func TestVariableConcurrent(t *testing.T) {
	needBPF(t)
	m := dataMap(t, make([]byte, 24))
	c := &Collection{Maps: map[string]*ebpf.Map{".data": m}}
	all := NewVariable[flags](c, ".data", "all", 0)
	bits := NewVariable[[3]uint8](c, ".data", "bits", 1) // where flags is blank
	var wg sync.WaitGroup
	const rounds = 20000
	wg.Go(func() {
		for i := range rounds {
			if err := all.Set(flags{Version: uint8(i), Id: uint32(i)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for i := range rounds {
			want := [3]uint8{uint8(i), uint8(i >> 8), 1}
			if err := bits.Set(want); err != nil {
				t.Error(err)
				return
			}
			runtime.Gosched()
			if got, err := bits.Get(); err != nil || got != want {
				t.Errorf("round %d: %v in place of %v, %v", i, got, want, err)
				return
			}
		}
	})
	wg.Wait()
}

func TestVariableRefused(t *testing.T) {
	needBPF(t)
	before := make([]byte, 16)
	m := dataMap(t, before)
	c := &Collection{Maps: map[string]*ebpf.Map{".data": m}}

	// What is mapped is whole pages.
	err := NewVariable[uint64](c, ".data", "v", uint32(os.Getpagesize()-4)).Set(1)
	qt.Check(t, qt.ErrorIs(err, io.ErrUnexpectedEOF))
	qt.Check(t, qt.ErrorMatches(err, "set variable v: it ends [0-9]+ bytes into section .data, which has [0-9]+: unexpected EOF"))
	_, err = NewVariable[uint64](c, ".data", "v", 0xfffffffc).Get()
	qt.Check(t, qt.ErrorIs(err, io.ErrUnexpectedEOF))

	type reader struct{ R []int }
	err = NewVariable[reader](c, ".data", "v", 0).Set(reader{})
	qt.Check(t, qt.ErrorMatches(err, `set variable v: field R: type \[\]int has no fixed size`))
	err = NewVariable[[2]uintptr](c, ".data", "v", 0).Set([2]uintptr{})
	qt.Check(t, qt.ErrorMatches(err, "set variable v: type uintptr has no fixed size"))
	err = NewVariable[any](c, ".data", "v", 0).Set(uint32(1))
	qt.Check(t, qt.ErrorMatches(err, `set variable v: type interface \{\} has no fixed size`))

	type private struct{ a [2]struct{ x uint32 } }
	_ = private{}.a
	_, err = NewVariable[private](c, ".data", "v", 0).Get()
	qt.Check(t, qt.ErrorMatches(err, "get variable v: field a of runtime.private is not exported, .*"))
	qt.Check(t, qt.DeepEquals(contents(t, m), before))
	one := private{}
	one.a[1].x = 0x01010101
	qt.Assert(t, qt.IsNil(NewVariable[private](c, ".data", "v", 0).Set(one)))
	qt.Check(t, qt.DeepEquals(contents(t, m), append([]byte{4: 1, 5: 1, 6: 1, 7: 1}, before[8:]...)))
}

func TestVariable(t *testing.T) {
	needBPF(t)
	c, err := Load(t.Context(), compiled(t, "data"), unsigned(PinRoot(t.TempDir()))...)
	qt.Assert(t, qt.IsNil(err))
	defer c.Close()

	// const volatile int limit = 42, and long counter = 7 (tests/features/data.bpf.c)
	limit := NewVariable[uint32](c, ".rodata", "limit", 0)
	got, err := limit.Get()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(got, 42))
	err = limit.Set(43)
	qt.Check(t, qt.ErrorIs(err, ErrConstant))
	qt.Check(t, qt.ErrorIs(err, ebpf.ErrReadOnly))
	qt.Check(t, qt.ErrorMatches(err, "set variable limit: its value is signed, .*: change it in the C source and sign anew: .*"))

	counter := NewVariable[uint64](c, ".data", "counter", 0)
	start, err := counter.Get()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(start, 7))
	qt.Assert(t, qt.IsNil(counter.Set(1007)))
	ret, err := c.Program("sum").Run(&ebpf.RunOptions{})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(ret, 42+1007+0+11+0x600d+0xf1+0+5+'s')) // as tests/kernel/guest adds up

	_, err = NewVariable[uint64](c, ".data", "far", 1<<20).Get()
	qt.Check(t, qt.ErrorMatches(err, "get variable far: .*"))
	_, err = NewVariable[uint64](c, ".none", "none", 0).Get()
	qt.Check(t, qt.ErrorMatches(err, "get variable none: the collection has no map .none"))
	qt.Check(t, qt.IsNotNil(NewVariable[*int](c, ".data", "pointer", 0).Set(nil)))
}
