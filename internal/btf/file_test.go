package btf

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/go-quicktest/qt"
)

// raw makes BTF of types that are encoded already, and strings.
func raw(order binary.AppendByteOrder, strings string, types ...uint32) []byte {
	var out []byte
	out = order.AppendUint16(out, magic)
	out = append(out, 1, 0)
	for _, v := range append([]uint32{headerLen, 0, uint32(4 * len(types)), uint32(4 * len(types)), uint32(len(strings))}, types...) {
		out = order.AppendUint32(out, v)
	}
	return append(out, strings...)
}

// A kernel: int, struct sock with one.
func kernel(order binary.AppendByteOrder) []byte {
	return raw(order, "\x00int\x00sock\x00",
		1, uint32(Int)<<24, 4, 32,
		5, uint32(Struct)<<24|1, 4, 1, 1, 0)
}

// A module: its string offsets go on from the kernel's 10, its ids from 2.
func module(order binary.AppendByteOrder, name string) []byte {
	return raw(order, name+"\x00",
		0, uint32(Ptr)<<24, 2,
		10, uint32(Struct)<<24|1, 8, 5, 3, 0)
}

func TestParseFile(t *testing.T) {
	data, err := os.ReadFile("../object/testdata/eb/core.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	s, err := ParseFile(data, nil)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals[binary.ByteOrder](s.Order, binary.BigEndian))
	qt.Check(t, qt.Not(qt.Equals(s.Find(Struct, "task_struct"), 0)))

	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		s, err := ParseFile(kernel(order), nil)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(s.Find(Struct, "sock"), 2))
	}
}

func TestModules(t *testing.T) {
	order := binary.LittleEndian
	base, err := ParseFile(kernel(order), nil)
	qt.Assert(t, qt.IsNil(err))
	one, err := ParseFile(module(order, "one"), base)
	qt.Assert(t, qt.IsNil(err))
	two, err := ParseFile(module(order, "two"), base)
	qt.Assert(t, qt.IsNil(err))

	joined := Join(base, one, two)
	qt.Assert(t, qt.HasLen(joined.Types, 7))
	for name, id := range map[string]ID{"one": 4, "two": 6} {
		qt.Assert(t, qt.Equals(joined.Find(Struct, name), id))
		member := joined.Types[id].Members[0]
		qt.Check(t, qt.Equals(member.Name, "sock"))
		qt.Check(t, qt.Equals(member.Type, id-1))
		qt.Check(t, qt.Equals(joined.Types[id-1].Ref, 2)) // the kernel's
	}
	qt.Check(t, qt.Equals(two.Types[4].Members[0].Type, 3)) // as it was
}

func TestParseFileRefuses(t *testing.T) {
	order := binary.LittleEndian
	base, err := ParseFile(kernel(order), nil)
	qt.Assert(t, qt.IsNil(err))
	object, err := os.ReadFile("../object/testdata/core.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	bzImage := make([]byte, 0x300)
	copy(bzImage[0x202:], "HdrS")
	for _, test := range []struct {
		name string
		data []byte
		base *Spec
		is   error
		says string
	}{
		{"empty", nil, nil, ErrNoBTF, "the file is empty"},
		{"text", []byte("#include"), nil, ErrNoBTF, "neither ELF nor raw BTF"},
		{"bzImage", bzImage, nil, ErrNoBTF, "compressed kernel"},
		{"half an ELF file", object[:100], nil, ErrNoBTF, ""},
		{"ELF without BTF", bytes.ReplaceAll(object, []byte(".BTF\x00"), []byte(".BTX\x00")), nil, ErrNoBTF, "without a section .BTF"},
		{"module not yet relocated", bytes.ReplaceAll(object, []byte("tp_btf/sch"), []byte(".BTF.base\x00")), nil, ErrDistilled, "where it is loaded"},
		{"truncated", kernel(order)[:40], nil, ErrMalformed, "outside its 40 bytes"},
		{"module alone", module(order, "one"), nil, ErrNoBase, "does not begin with a zero byte"},
		{"other byte order", module(binary.BigEndian, "one"), base, ErrMalformed, "byte order BigEndian"},
		{"kernel as a module", kernel(order), base, ErrMalformed, "it is no module's"},
		{"module of another kernel", module(order, "one"), &Spec{Order: order, Types: make([]Type, 2)}, ErrMalformed, "string offset 10 of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseFile(test.data, test.base)
			qt.Assert(t, qt.ErrorIs(err, test.is))
			qt.Check(t, qt.ErrorMatches(err, "(?s).*"+test.says+".*"))
		})
	}
}
