package object

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// readKconfigMap lays out the map .kconfig and fills it with the values that were declared for the build.
//
// libbpf reads the running kernel's configuration; a signer cannot know it, and must not guess: what has no declared
// value is an error, also where the extern is weak.
func (r *reader) readKconfigMap() error {
	var vars []*Extern
	align := map[*Extern]uint32{}
	for _, e := range r.Externs {
		if e.Kind != Kconfig {
			continue
		}
		size, err := r.BTF.SizeOf(r.BTF.Types[e.Type].Ref)
		if err != nil || size == 0 {
			return r.errorf("extern "+e.Name, "has no size")
		}
		e.Size = size
		align[e] = r.alignOf(r.BTF.Types[e.Type].Ref)
		vars = append(vars, e)
	}
	if len(vars) == 0 {
		return nil
	}
	slices.SortStableFunc(vars, func(x, y *Extern) int { // the largest first
		return cmp.Or(cmp.Compare(align[y], align[x]), cmp.Compare(y.Size, x.Size), cmp.Compare(x.Name, y.Name))
	})
	end := uint32(0)
	for _, e := range vars {
		e.Offset = (end + align[e] - 1) / align[e] * align[e]
		if e.Size > maxKconfig || e.Offset > maxKconfig-e.Size {
			return r.errorf("extern "+e.Name, "has %d bytes, and all kernel configuration together may have %d: declare it shorter", e.Size, maxKconfig)
		}
		end = e.Offset + e.Size
	}
	data := make([]byte, end)
	for _, e := range vars {
		if err := r.setKconfig(e, data[e.Offset:e.Offset+e.Size]); err != nil {
			return r.errorf("extern "+e.Name, "%w", err)
		}
	}
	r.kconfig = &Map{
		Name: ".kconfig", KernelName: r.dataMapName(".kconfig"), Section: ".kconfig",
		Type: uapi.MapTypeArray, KeySize: 4, ValueSize: end, MaxEntries: 1,
		Flags: uapi.MapFlagReadOnlyProg | uapi.MapFlagMmapable, Data: data, Freeze: true,
		ValueType: r.kconfigSection(vars, end),
	}
	r.Maps = append(r.Maps, r.kconfig)
	return nil
}

// maxKconfig bounds the map .kconfig, in bytes. Its longest values are strings, of which Kconfig reads lines of at most 64 KiB.
const maxKconfig = 1 << 20

// known are the values that are the same on every kernel that can run a signed loader.
var known = map[string]string{
	"LINUX_HAS_BPF_COOKIE": "1", // since Linux 5.15
}

// setKconfig encodes the declared value of an extern.
func (r *reader) setKconfig(e *Extern, to []byte) error {
	value, ok := r.opts.Kconfig[e.Name]
	if !ok {
		value, ok = known[e.Name]
	}
	if !ok {
		return fmt.Errorf("%w: its value is the running kernel's, which is not known when the loader is signed; declare it: -kconfig %s=VALUE",
			ErrUnsupported, e.Name)
	}
	t := &r.BTF.Types[r.BTF.Strip(r.BTF.Types[e.Type].Ref)]
	switch t.Kind {
	case btf.Array: // of char
		s, err := strconv.Unquote(value)
		if err != nil {
			return fmt.Errorf("value %s: want a string in double quotes", value)
		}
		if len(s) >= len(to) {
			return fmt.Errorf("value %s does not fit %d bytes", value, len(to))
		}
		copy(to, s)
		return nil
	case btf.Int, btf.Enum, btf.Enum64:
		n, err := kconfigNumber(value, t)
		if err != nil {
			return fmt.Errorf("value %s: %w", value, err)
		}
		return r.putNumber(to, n, t)
	}
	return errors.New("is neither a number nor an array of characters")
}

const intIsSigned, intIsChar, intIsBool = 1, 2, 4 // encoding bits of BTF_KIND_INT

// kconfigNumber reads y, m, n or a number; enum libbpf_tristate is {n, y, m}.
func kconfigNumber(value string, t *btf.Type) (uint64, error) {
	isBool := t.Kind == btf.Int && t.Extra>>24&intIsBool != 0
	switch value {
	case "y", "m", "n":
		switch {
		case t.Kind == btf.Int && t.Size == 1 && !isBool:
			return uint64(value[0]), nil
		case isBool && value == "m":
			return 0, errors.New("m is no value for a bool")
		}
		return map[string]uint64{"n": 0, "y": 1, "m": 2}[value], nil
	}
	if n, err := strconv.ParseInt(value, 0, 64); err == nil {
		return uint64(n), nil
	}
	n, err := strconv.ParseUint(value, 0, 64)
	if err != nil {
		return 0, errors.New("want y, m, n or a number")
	}
	return n, nil
}

// putNumber stores n in the object's byte order, if it fits.
func (r *reader) putNumber(to []byte, n uint64, t *btf.Type) error {
	bits := uint(len(to)) * 8
	signed := t.Kind == btf.Int && t.Extra>>24&intIsSigned != 0 || t.Kind != btf.Int && t.Flag
	if bits < 64 {
		fits := n>>bits == 0
		if signed {
			fits = n+1<<(bits-1) < 1<<bits
		}
		if !fits {
			return fmt.Errorf("%d does not fit %d bytes", int64(n), len(to))
		}
	}
	switch len(to) {
	case 1:
		to[0] = byte(n)
	case 2:
		r.Order.PutUint16(to, uint16(n))
	case 4:
		r.Order.PutUint32(to, uint32(n))
	case 8:
		r.Order.PutUint64(to, n)
	default:
		return fmt.Errorf("a number of %d bytes", len(to))
	}
	return nil
}

// kconfigSection turns the BTF of the declarations into that of a data section, as the kernel takes it.
func (r *reader) kconfigSection(vars []*Extern, size uint32) btf.ID {
	id := r.BTF.Find(btf.DataSec, ".kconfig")
	sec := &r.BTF.Types[id]
	sec.Size, sec.Members = size, nil
	for _, e := range vars {
		r.BTF.Types[e.Type].Extra = btf.Global
		sec.Members = append(sec.Members, btf.Member{Type: e.Type, Offset: uint64(e.Offset), Size: e.Size})
	}
	return id
}

// alignOf is a type's natural alignment, in bytes.
func (r *reader) alignOf(id btf.ID) uint32 {
	t := &r.BTF.Types[r.BTF.Strip(id)]
	switch t.Kind {
	case btf.Array:
		return r.alignOf(t.Ref)
	case btf.Int, btf.Enum, btf.Enum64, btf.Float:
		return max(1, min(8, t.Size))
	case btf.Ptr:
		return 8
	}
	return 1
}

// ParseKconfig reads NAME=VALUE pairs as flags give them.
func ParseKconfig(pairs []string) (map[string]string, error) {
	values := map[string]string{}
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("kernel configuration %q: want NAME=VALUE", p)
		}
		values[name] = value
	}
	return values, nil
}
