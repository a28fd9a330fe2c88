package kbtf

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/go-quicktest/qt"
)

const vmlinux = "/sys/kernel/btf/vmlinux"

var orders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

var (
	u8  = &btf.Int{Name: "unsigned char", Size: 1}
	u32 = &btf.Typedef{Name: "u32", Type: &btf.Typedef{Name: "__u32", Type: &btf.Int{Name: "unsigned int", Size: 4}}}
	u64 = &btf.Int{Name: "unsigned long", Size: 8}
	ptr = &btf.Pointer{Target: &btf.Void{}}
)

func sha(n uint32) btf.Member {
	return btf.Member{Name: "sha", Type: &btf.Array{Index: u64, Type: &btf.Typedef{Name: "u8", Type: u8}, Nelems: n}}
}

func at(bytes uint32, name string, t btf.Type) btf.Member {
	return btf.Member{Name: name, Type: t, Offset: btf.Bits(bytes * 8)}
}

// kernel is the type information of a kernel with these members in struct bpf_map and struct bpf_prog_aux, among others:
// more than a stride of them.
func kernel(t testing.TB, order binary.ByteOrder, bpfMap, bpfProgAux []btf.Member) []byte {
	t.Helper()
	return smallKernel(t, order, stride, bpfMap, bpfProgAux)
}

func smallKernel(t testing.TB, order binary.ByteOrder, others int, bpfMap, bpfProgAux []btf.Member) []byte {
	t.Helper()
	b, err := btf.NewBuilder(nil, nil)
	qt.Assert(t, qt.IsNil(err))
	add := func(typ btf.Type) {
		_, err := b.Add(typ)
		qt.Assert(t, qt.IsNil(err))
	}
	for i := range others {
		add(&btf.Enum{Name: "e", Size: 4, Values: []btf.EnumValue{{Name: "a", Value: uint64(i)}, {Name: "b", Value: 1000}}})
		add(&btf.Enum{Name: "e64", Size: 8, Values: []btf.EnumValue{{Name: "c", Value: uint64(i) << 40}}})
		add(&btf.Func{Name: "f", Type: &btf.FuncProto{Return: u32, Params: []btf.FuncParam{{Name: "x", Type: ptr}}}})
	}
	v := &btf.Var{Name: "v", Type: u32}
	add(&btf.Datasec{Name: ".data", Size: 4, Vars: []btf.VarSecinfo{{Type: v, Size: 4}}})
	add(&btf.Union{Name: "bpf_map", Size: 4, Members: []btf.Member{{Name: "excl", Type: u32}}}) // no struct
	add(&btf.Fwd{Name: "bpf_map", Kind: btf.FwdStruct})
	add(&btf.Float{Name: "double", Size: 8})
	add(&btf.TypeTag{Value: "user", Type: u32})
	if bpfMap != nil {
		add(&btf.Struct{Name: "bpf_map", Size: 256, Members: bpfMap})
	}
	add(&btf.Struct{Name: "bpf_prog_aux", Size: 256, Members: bpfProgAux})
	data, err := b.Marshal(nil, &btf.MarshalOptions{Order: order})
	qt.Assert(t, qt.IsNil(err))
	return data
}

func TestScan(t *testing.T) {
	sig := []btf.Member{at(0, "sig", &btf.Struct{Size: 8, Members: []btf.Member{at(0, "keyring_serial", u32)}})}
	noSig := []btf.Member{at(0, "signature", u32)}
	exclProgSHA := at(200, "excl_prog_sha", ptr)
	bitfield := at(32, "excl", u32)
	bitfield.BitfieldSize = 4
	for name, test := range map[string]struct {
		bpfMap, aux []btf.Member
		want        Facts
	}{
		"7.2":                 {[]btf.Member{sha(32), at(32, "excl", u32), at(40, "ops", ptr), exclProgSHA}, sig, Facts{true, true, true}},
		"7.1.13":              {[]btf.Member{sha(32), at(32, "excl", u32), at(36, "ops", ptr), exclProgSHA}, noSig, Facts{true, true, false}},
		"7.3":                 {[]btf.Member{sha(32), at(32, "ops", ptr), exclProgSHA}, sig, Facts{true, false, true}},
		"6.18.5":              {[]btf.Member{sha(32), at(32, "ops", ptr), exclProgSHA}, noSig, Facts{true, false, false}},
		"6.12":                {[]btf.Member{at(0, "ops", ptr)}, noSig, Facts{}},
		"excl is a pointer":   {[]btf.Member{sha(32), at(32, "excl", ptr)}, noSig, Facts{}},
		"excl is a u64":       {[]btf.Member{sha(32), at(32, "excl", u64)}, noSig, Facts{}},
		"excl is a byte":      {[]btf.Member{sha(32), at(32, "excl", u8)}, noSig, Facts{}},
		"excl is a bit field": {[]btf.Member{sha(32), bitfield}, noSig, Facts{}},
		"excl is elsewhere":   {[]btf.Member{sha(32), at(36, "excl", u32)}, noSig, Facts{}},
		"sha is longer":       {[]btf.Member{sha(64), at(32, "excl", u32)}, noSig, Facts{}},
		"no sha":              {[]btf.Member{at(0, "shb", u32), at(32, "excl", u32)}, noSig, Facts{}},
	} {
		for _, order := range orders {
			t.Run(name+"/"+order.String(), func(t *testing.T) {
				got, err := Scan(kernel(t, order, test.bpfMap, test.aux))
				qt.Assert(t, qt.IsNil(err))
				qt.Assert(t, qt.Equals(got, test.want))
			})
		}
	}
	_, err := Scan(kernel(t, binary.LittleEndian, nil, noSig))
	qt.Assert(t, qt.ErrorIs(err, ErrFormat))
	qt.Assert(t, qt.ErrorMatches(err, ".*no struct bpf_map"))
}

// TestUnknownKind gives a kind that this package does not know, first without and then with a layout section that says
// how large it is (struct btf_layout, Linux 7.3).
func TestUnknownKind(t *testing.T) {
	data := kernel(t, binary.LittleEndian, []btf.Member{sha(32), at(32, "excl", u32)}, nil)
	header, rest := data[:headerSize], data[headerSize:]
	u32s := func(values ...uint32) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	typeLen, strLen := binary.LittleEndian.Uint32(header[12:]), binary.LittleEndian.Uint32(header[20:])
	unknown := u32s(0, 20<<24|2, 0, 7, 8, 9, 10, 11) // vlen 2: 4 bytes, and 8 for each
	types := append(append([]byte{}, unknown...), rest[:typeLen]...)
	strings := rest[typeLen : typeLen+strLen]
	newLen := uint32(len(types))

	_, err := Scan(bytes.Join([][]byte{header[:4], u32s(headerSize, 0, newLen, newLen, strLen), types, strings}, nil))
	qt.Assert(t, qt.ErrorMatches(err, "malformed BTF: type 1 is of the unknown kind 20"))

	layout := make([]byte, 21*4)
	for kind, e := range extras {
		layout[4*kind], layout[4*kind+1] = e.fixed, e.each
	}
	layout[4*20], layout[4*20+1] = 4, 8
	// The ids of types are one higher now, which no type refers to here but sha's and excl's.
	facts, err := Scan(bytes.Join([][]byte{header[:4], u32s(headerSize+8, 0, newLen, newLen, strLen, newLen+strLen, uint32(len(layout))),
		types, strings, layout}, nil))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(facts, Facts{}))
}

func TestMalformed(t *testing.T) {
	good := kernel(t, binary.LittleEndian, []btf.Member{sha(32), at(32, "excl", u32)}, nil)
	for n := range headerSize + 200 { // cut short: the sections lie outside
		_, err := Scan(good[:n])
		qt.Assert(t, qt.ErrorIs(err, ErrFormat))
	}
	bad := bytes.Clone(good)
	bad[0] = 0
	_, err := Scan(bad)
	qt.Assert(t, qt.ErrorMatches(err, "malformed BTF: it begins with .*"))
	for i := range headerSize {
		bad := bytes.Clone(good)
		bad[i] ^= 0xff
		_, _ = Scan(bad) // it must not panic
	}
}

func FuzzScan(f *testing.F) {
	for _, order := range orders {
		f.Add(smallKernel(f, order, 1, []btf.Member{sha(32), at(32, "excl", u32)}, nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Scan(data)
	})
}

// TestRunningKernel compares the scan with cilium/ebpf's parser.
func TestRunningKernel(t *testing.T) {
	data, err := os.ReadFile(vmlinux)
	if err != nil {
		t.Skip("this kernel has no BTF:", err)
	}
	got, err := Scan(data)
	qt.Assert(t, qt.IsNil(err))
	spec, err := btf.LoadKernelSpec()
	qt.Assert(t, qt.IsNil(err))
	var bpfMap, aux *btf.Struct
	qt.Assert(t, qt.IsNil(spec.TypeByName("bpf_map", &bpfMap)))
	qt.Assert(t, qt.IsNil(spec.TypeByName("bpf_prog_aux", &aux)))
	var want Facts
	for _, m := range bpfMap.Members {
		want.Exclusive = want.Exclusive || m.Name == "excl_prog_sha"
		if size, err := btf.Sizeof(m.Type); err == nil && m.Name == "excl" {
			want.Excl = m.Offset.Bytes() == 32 && size == 4
		}
	}
	for _, m := range aux.Members {
		want.Sig = want.Sig || m.Name == "sig"
	}
	qt.Assert(t, qt.Equals(got, want))
	t.Logf("%+v", got)
}

func BenchmarkScan(b *testing.B) {
	data, err := os.ReadFile(vmlinux)
	if err != nil {
		b.Skip("this kernel has no BTF:", err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(data); err != nil {
			b.Fatal(err)
		}
	}
}
