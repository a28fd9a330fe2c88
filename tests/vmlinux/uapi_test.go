//go:build linux

package vmlinux_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
)

// The numbers of internal/uapi are those of the running kernel. It may be newer than they are.
func TestRunningUAPI(t *testing.T) {
	const file = "/sys/kernel/btf/vmlinux"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Skip(err)
	}
	for _, name := range compareUAPI(t, raw) {
		t.Logf("the running kernel has %s, which internal/uapi does not name", name)
	}
}

// The numbers of internal/uapi are those of the newest kernel that was fetched, and none is missing. Older kernels have the
// same and fewer.
func TestNewestUAPI(t *testing.T) {
	var newest vm.Kernel
	for _, k := range kernels(t) {
		if k.Name > newest.Name {
			newest = k
		}
	}
	image, err := os.ReadFile(newest.Image)
	if err != nil {
		t.Fatal(err)
	}
	vmlinux, err := vm.Vmlinux(image)
	if err != nil {
		t.Fatalf("%s: %v", newest.Image, err)
	}
	for _, name := range compareUAPI(t, vmlinux) {
		t.Errorf("internal/uapi does not name %s of Linux %s", name, newest.Name)
	}
}

// enumerations are those of internal/uapi that kernels' BTF has, by an enumerator that only this one has.
var enumerations = map[string]struct {
	prefix string
	name   func(value uint64) string
}{
	"BPF_MAP_CREATE":          {"BPF_", func(v uint64) string { return uapi.Cmd(v).String() }},
	"BPF_MAP_TYPE_ARRAY":      {"BPF_MAP_TYPE_", func(v uint64) string { return uapi.MapType(v).String() }},
	"BPF_PROG_TYPE_SYSCALL":   {"BPF_PROG_TYPE_", func(v uint64) string { return uapi.ProgType(v).String() }},
	"BPF_CGROUP_INET_INGRESS": {"BPF_", func(v uint64) string { return uapi.AttachType(v).String() }},
	"BPF_F_NO_PREALLOC":       {"BPF_F_", func(v uint64) string { return uapi.MapFlags(v).String() }},
	"BPF_NOEXIST":             {"BPF_", func(v uint64) string { return "f_" + uapi.UpdateFlags(v).String() }},
	"BPF_CORE_FIELD_EXISTS":   {"BPF_CORE_", func(v uint64) string { return uapi.COREReloKind(v).String() }},
	"BPF_FUNC_unspec":         {"BPF_FUNC_", func(v uint64) string { return strings.TrimPrefix(uapi.Helper(v).String(), "bpf_") }},
}

// otherNames are enumerators that internal/uapi has by another name, or not as a number of its own.
var otherNames = map[string]bool{
	"BPF_PROG_TEST_RUN": true, "BPF_COMMON_ATTRS": true, "BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED": true,
	"BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED": true, "BPF_ANY": true, "BPF_NOEXIST": true, "BPF_EXIST": true,
}

// compareUAPI compares the numbers of internal/uapi with those in a kernel's file, and returns the names of those that it does
// not have.
func compareUAPI(t *testing.T, file []byte) (missing []string) {
	t.Helper()
	kernel, err := btf.ParseFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for i := range kernel.Types {
		typ := &kernel.Types[i]
		if typ.Kind != btf.Enum && typ.Kind != btf.Enum64 {
			continue
		}
		for _, e := range typ.Members {
			if _, ok := enumerations[e.Name]; ok {
				found[e.Name] = true
				missing = append(missing, compareEnum(t, typ, e.Name)...)
			}
		}
	}
	for name := range enumerations {
		if !found[name] {
			t.Errorf("the kernel has no enumeration with %s", name)
		}
	}
	compareAttr(t, kernel)
	compareStructs(t, kernel)
	return missing
}

// compareEnum compares the numbers of one enumeration.
func compareEnum(t *testing.T, typ *btf.Type, which string) (missing []string) {
	t.Helper()
	enum := enumerations[which]
	for _, e := range typ.Members {
		if otherNames[e.Name] || strings.HasPrefix(e.Name, "__") {
			continue
		}
		got, want := enum.name(e.Offset), strings.ToLower(strings.TrimPrefix(e.Name, enum.prefix))
		switch unknown := strings.HasPrefix(got, "unknown(") || strings.Contains(got, "0x"); {
		case strings.HasPrefix(got, "helper "): // internal/uapi has those that loaders call
		case unknown:
			missing = append(missing, e.Name)
		case !unknown && strings.ToLower(got) != want:
			t.Errorf("%s is %d, which internal/uapi calls %s", e.Name, e.Offset, got)
		}
	}
	return missing
}

// attrStructs are the structs of union bpf_attr, by the name of their first field, or by their own where they have one.
var attrStructs = map[string]uapi.Cmd{
	"map_type": uapi.CmdMapCreate, "map_fd": uapi.CmdMapUpdateElem, "prog_type": uapi.CmdProgLoad, "btf": uapi.CmdBTFLoad,
}

// compareAttr compares the fields of union bpf_attr.
func compareAttr(t *testing.T, kernel *btf.Spec) {
	t.Helper()
	found := map[uapi.Cmd]bool{}
	for _, m := range kernel.Types[kernel.Find(btf.Union, "bpf_attr")].Members {
		fields := map[string]uint64{}
		first := fieldsOf(kernel, m.Type, 0, fields)
		cmd, ok := attrStructs[first]
		if !ok || m.Name != "" {
			continue
		}
		found[cmd] = true
		size, err := kernel.SizeOf(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		for off := range int64(256) {
			name := cmd.FieldName(off)
			if at, ok := fields[name]; name != "" && off < int64(size) && (!ok || at != uint64(off)) {
				t.Errorf("%v: internal/uapi has %s at %d, the kernel at %d (%v)", cmd, name, off, at, ok)
			}
		}
	}
	if len(found) != len(attrStructs) {
		t.Errorf("union bpf_attr has only the structs of %v", found)
	}
}

// fieldsOf adds the offsets of a struct's fields, and those of the structs in it, in bytes. It returns the first one's name.
func fieldsOf(kernel *btf.Spec, id btf.ID, base uint64, to map[string]uint64) (first string) {
	for _, m := range kernel.Types[kernel.Strip(id)].Members {
		at := base + m.Offset/8
		if m.Name == "" {
			m.Name = fieldsOf(kernel, m.Type, at, to)
		} else {
			to[m.Name] = at
		}
		if first == "" {
			first = m.Name
		}
	}
	return first
}

// compareStructs compares the sizes of records, and what loaders read of struct bpf_map where the kernel has it.
func compareStructs(t *testing.T, kernel *btf.Spec) {
	t.Helper()
	for name, want := range map[string]uint32{
		"bpf_func_info": uapi.FuncInfoSize, "bpf_line_info": uapi.LineInfoSize, "bpf_core_relo": uapi.COREReloSize,
	} {
		if got, err := kernel.SizeOf(kernel.Find(btf.Struct, name)); err != nil || got != want {
			t.Errorf("struct %s has %d bytes (%v), internal/uapi says %d", name, got, err, want)
		}
	}
	fields := map[string]uint64{}
	fieldsOf(kernel, kernel.Find(btf.Struct, "bpf_map"), 0, fields)
	if got := fields["sha"]; got != uapi.BPFMapSHA {
		t.Errorf("struct bpf_map has sha at %d, internal/uapi says %d", got, uapi.BPFMapSHA)
	}
	if got, ok := fields["excl"]; ok && got != uapi.BPFMapExcl {
		t.Errorf("struct bpf_map has excl at %d, internal/uapi says %d", got, uapi.BPFMapExcl)
	}
}
