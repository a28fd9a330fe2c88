package cheader

import (
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// Limits on text, in bytes. The kernel takes no longer name (KSYM_NAME_LEN, include/linux/kallsyms.h), and no compiler writes
// a longer tag.
const (
	maxName = 511
	maxTag  = 4096
)

// attributeText matches an attribute as tools write it into BTF: a name, or a name with names, numbers and plain strings as
// arguments. So it cannot end the attribute that it is put into.
var attributeText = regexp.MustCompile(`^[A-Za-z_]\w*(?:\(` + argument + `(?:, ?` + argument + `)*\))?$`)

// argument matches one; strings have neither quotes, backslashes nor question marks, which could begin a trigraph.
const argument = `(?:[A-Za-z_]\w*|-?[0-9]\w*|"[ !#-&(->@-\[\]-~]*")`

// checkText looks at everything in the BTF that the header repeats as it stands. Names are made identifiers instead, see
// identifier.
func (w *writer) checkText() error {
	for id := range w.spec.Types {
		t := &w.spec.Types[id]
		longest := len(t.Name)
		if t.Kind == btf.DeclTag || t.Kind == btf.TypeTag {
			if err := w.checkTag(btf.ID(id)); err != nil {
				return err
			}
			longest = 0
		}
		for i := range t.Members {
			longest = max(longest, len(t.Members[i].Name))
		}
		if longest > maxName {
			return w.malformed(btf.ID(id), "a name of %d bytes; a kernel's have at most %d", longest, maxName)
		}
	}
	return nil
}

// checkTag looks at the text of a declaration or type tag.
func (w *writer) checkTag(id btf.ID) error {
	t := &w.spec.Types[id]
	if len(t.Name) > maxTag {
		return w.malformed(id, "a tag of %d bytes, more than %d", len(t.Name), maxTag)
	}
	if t.Flag && !attributeText.MatchString(t.Name) {
		return w.malformed(id, "%q is not a C attribute, NAME or NAME(ARGUMENTS)", t.Name)
	}
	if !utf8.ValidString(t.Name) {
		return w.malformed(id, "the tag %q is not UTF-8", t.Name)
	}
	for _, r := range t.Name {
		if !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return w.malformed(id, "the tag %q has a control character", t.Name)
		}
	}
	return nil
}
