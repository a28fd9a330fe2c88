package object

import (
	"debug/elf"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// readExterns finds what the object declares and does not define: in section .ksyms what the kernel has, in section
// .kconfig how it was configured. The declarations themselves leave no trace in the BTF that is loaded: externs are found
// by name.
func (r *reader) readExterns() error {
	r.externs = map[int]*Extern{}
	var declared map[string]declaration
	for i, sym := range r.symbols {
		bind := elf.ST_BIND(sym.Info)
		if sym.Section != elf.SHN_UNDEF || sym.Name == "" || elf.ST_TYPE(sym.Info) != elf.STT_NOTYPE || bind == elf.STB_LOCAL {
			continue
		}
		if r.BTF == nil {
			return r.errorf("extern "+sym.Name, "is defined nowhere, and without BTF (compile with -g) it cannot be looked up in the kernel")
		}
		if declared == nil {
			declared = r.declarations()
		}
		d, ok := declared[sym.Name]
		if !ok {
			return r.errorf("extern "+sym.Name, "is defined in no source of the object, and is neither __ksym nor __kconfig")
		}
		t := &r.BTF.Types[d.typ]
		e := &Extern{Name: essentialName(sym.Name), Weak: bind == elf.STB_WEAK, Type: d.typ}
		switch {
		case d.section == ".kconfig" && t.Kind == btf.Var:
			e.Kind, e.Name = Kconfig, sym.Name
		case d.section == ".ksyms" && t.Kind == btf.Func:
			e.Kind = Kfunc
		case d.section == ".ksyms" && r.BTF.Strip(t.Ref) == 0:
			e.Kind = TypelessKsym
		case d.section == ".ksyms":
			e.Kind = TypedKsym
		default:
			return r.errorf("extern "+sym.Name, "is declared in section %q: want __ksym or, for a variable, __kconfig", d.section)
		}
		r.externs[i+1] = e
		r.Externs = append(r.Externs, e)
	}
	return nil
}

// declaration is where the BTF declares an extern.
type declaration struct {
	section string
	typ     btf.ID
}

// declarations returns the externs that the BTF declares, by name.
func (r *reader) declarations() map[string]declaration {
	d := map[string]declaration{}
	for i := range r.BTF.Types {
		sec := &r.BTF.Types[i]
		if sec.Kind != btf.DataSec {
			continue
		}
		for _, m := range sec.Members {
			t := &r.BTF.Types[m.Type]
			if (t.Kind == btf.Var || t.Kind == btf.Func) && t.Extra == btf.Extern {
				d[t.Name] = declaration{sec.Name, m.Type}
			}
		}
	}
	return d
}

// essentialName cuts off the flavour of a name: "task_struct___old" is "task_struct" (libbpf's convention for CO-RE).
func essentialName(name string) string {
	for i := len(name) - 4; i > 0; i-- {
		if strings.HasPrefix(name[i:], "___") && name[i-1] != '_' && name[i+3] != '_' {
			return name[:i]
		}
	}
	return name
}
