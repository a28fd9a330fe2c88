package bpf

import (
	"path"
	"strings"
)

// include is an #include line.
type include struct {
	file   string // that has it, by its path from the repository's root
	line   int
	path   string
	angled bool // <path>, not "path"

	// optional is set within a condition that may be false: then the header need not exist.
	optional bool
}

func (i include) String() string {
	if i.angled {
		return "#include <" + i.path + ">"
	}
	return `#include "` + i.path + `"`
}

// specs returns the names under which a rule may provide the header, in the order in which the compiler looks: a path from
// the repository's root, or a path in angle brackets that a library's `includes` lead to.
func (i include) specs() []string {
	inIncludes := "<" + path.Clean(i.path) + ">"
	if i.angled {
		return []string{inIncludes}
	}
	beside, fromRoot := path.Join(path.Dir(i.file), i.path), path.Clean(i.path)
	if beside == fromRoot {
		return []string{fromRoot, inIncludes}
	}
	return []string{beside, fromRoot, inIncludes}
}

// truth is what is known of a preprocessor's condition.
type truth int

const (
	maybe truth = iota
	yes
	no
)

func (t truth) not() truth {
	return [...]truth{maybe: maybe, yes: no, no: yes}[t]
}

// branch is an open #if.
type branch struct {
	live  truth // this branch is compiled
	taken truth // one of the branches before was
}

// next goes on to the branch of an #elif, or of an #else, which is always true.
func (b *branch) next(condition truth) {
	switch {
	case b.live == yes || b.taken == yes:
		b.taken, b.live = yes, no
	case b.live == maybe || b.taken == maybe:
		b.taken = maybe
		if condition != no {
			condition = maybe
		}
		b.live = condition
	default:
		b.live = condition
	}
}

// scanIncludes finds the #include lines of C that may be compiled to BPF. An include of a macro cannot be followed, and is
// not in the result.
func scanIncludes(file string, src []byte) []include {
	var (
		includes []include
		open     []branch
		first    = true // no directive was seen yet
		guard    string // the macro of a first #ifndef, until the next directive
	)
	for line, text := range preprocessorLines(src) {
		name, rest := cutWord(text)
		wasFirst, wasGuard := first, guard
		first, guard = false, ""
		switch name {
		case "include", "import":
			i := include{file: file, line: line}
			var ok bool
			if i.path, i.angled, ok = headerName(rest); !ok {
				continue
			}
			dead := false
			for _, b := range open {
				dead = dead || b.live == no
				i.optional = i.optional || b.live == maybe
			}
			if !dead {
				includes = append(includes, i)
			}
		case "if":
			open = append(open, branch{live: evaluate(rest), taken: no})
			if macro, ok := strings.CutPrefix(rest, "!defined"); ok && wasFirst {
				guard = strings.Trim(macro, " \t()")
			}
		case "ifdef":
			macro, _ := cutWord(rest)
			open = append(open, branch{live: defined(macro), taken: no})
		case "ifndef":
			macro, _ := cutWord(rest)
			open = append(open, branch{live: defined(macro).not(), taken: no})
			if wasFirst {
				guard = macro
			}
		case "define":
			// #ifndef X, #define X: the whole file is within, and is compiled at least once.
			if macro, _ := cutWord(rest); macro != "" && macro == wasGuard {
				open[0].live = yes
			}
		case "elif", "elifdef", "elifndef", "else":
			if len(open) == 0 {
				continue
			}
			condition := maybe
			switch name {
			case "elif":
				condition = evaluate(rest)
			case "else":
				condition = yes
			}
			open[len(open)-1].next(condition)
		case "pragma":
			first, guard = wasFirst, wasGuard
		case "endif":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	return includes
}

// headerName reads the operand of an #include.
func headerName(s string) (name string, angled, ok bool) {
	end := `"`
	if strings.HasPrefix(s, "<") {
		end, angled = ">", true
	} else if !strings.HasPrefix(s, end) {
		return "", false, false
	}
	name, _, ok = strings.Cut(s[1:], end)
	return name, angled, ok && name != ""
}

// evaluate knows the conditions that headers for kernel and user space have, and constants.
func evaluate(condition string) truth {
	condition = strings.TrimSpace(condition)
	if rest, ok := strings.CutPrefix(condition, "!"); ok {
		if strings.ContainsAny(rest, "&|") {
			return maybe
		}
		return evaluate(rest).not()
	}
	switch condition {
	case "0":
		return no
	case "1":
		return yes
	}
	if macro, ok := strings.CutPrefix(condition, "defined"); ok {
		return defined(strings.Trim(macro, " \t()"))
	}
	return maybe
}

// defined knows what clang defines for BPF.
func defined(macro string) truth {
	switch macro {
	case "__bpf__", "__BPF__":
		return yes
	case "__cplusplus":
		return no
	}
	return maybe
}

// cutWord splits off a name, and the blanks behind it.
func cutWord(s string) (word, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		return s, ""
	}
	return s[:end], strings.TrimLeft(s[end:], " \t")
}
