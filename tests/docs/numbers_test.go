package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// numbered are the folders whose kernel numbers must have names, and hasNumbers those below them that define the names.
var (
	numbered   = []string{"internal", "tools", "verify", "tests", "bench"}
	hasNumbers = []string{"internal/uapi", "internal/insn"}
)

// Kernel numbers come from internal/uapi by name: {name: "uprobe.multi+", attach: 48} says nothing, and nothing would notice
// a 49.
func TestNumbersHaveNames(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(path, d) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		folder := folderOf(path)
		in := func(dir string) bool { return under(folder, dir) }
		if !slices.ContainsFunc(numbered, in) || slices.ContainsFunc(hasNumbers, in) {
			return nil
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, problem := range bareNumbers(set, file) {
			t.Error(problem)
		}
		return nil
	})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsTrue(files > 100), qt.Commentf("%d files", files))
}

// What holds a kernel number: fields, and methods of insn.Insn. An opcode may be written as a number where it is to be a wrong
// one, but nobody looks into it by hand.
var (
	holdsNumber = []string{"Type", "typ", "ExpectedAttachType", "AttachType", "attach", "Flags", "flags", "Cmd", "Op"}
	isNumber    = []string{"Class", "ALUOp", "JumpOp"}
	// readsField are the methods that take an offset in union bpf_attr first.
	readsField = []string{"u32", "s32", "u64", "name", "zeroFrom"}
	kernelName = regexp.MustCompile(`\bBPF_[A-Z]|\benum bpf_`)
)

// bareNumbers lists where a file has a kernel's number without its name.
func bareNumbers(set *token.FileSet, file *ast.File) (problems []string) {
	report := func(at ast.Node, what string) {
		problems = append(problems, fmt.Sprintf("%v: %s: take it from internal/uapi, by its name", set.Position(at.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr: // Type: 2
			if key, ok := n.Key.(*ast.Ident); ok && key.Name != "Op" && slices.Contains(holdsNumber, key.Name) && bare(n.Value) {
				report(n, key.Name+" is a bare number")
			}
		case *ast.BinaryExpr: // p.Type == 27, in.Op&7
			for _, pair := range [][2]ast.Expr{{n.X, n.Y}, {n.Y, n.X}} {
				if name := numberOf(pair[0]); name != "" && bare(pair[1]) {
					report(n, name+" is compared with a bare number")
				}
			}
		case *ast.SwitchStmt: // switch p.Type { case 27:
			name := numberOf(n.Tag)
			for _, c := range n.Body.List {
				if name != "" && slices.ContainsFunc(c.(*ast.CaseClause).List, bare) {
					report(c, name+" is compared with a bare number")
				}
			}
		case *ast.CallExpr: // a.u32(52)
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(readsField, f.Sel.Name) && len(n.Args) > 0 && bare(n.Args[0]) {
				report(n, "the offset of a field is a bare number")
			}
		case *ast.GenDecl: // const structOps = 27 // BPF_PROG_TYPE_STRUCT_OPS
			for _, spec := range n.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || n.Tok != token.CONST || !slices.ContainsFunc(v.Values, bare) {
					continue
				}
				if kernelName.MatchString(v.Doc.Text()+v.Comment.Text()+n.Doc.Text()) && !ownTable(set.Position(n.Pos()).Filename) {
					report(v, v.Names[0].Name+" is the kernel's")
				}
			}
		}
		return true
	})
	return problems
}

// ownTable reports whether a file may have constants of its own for the kernel's numbers: the simulated kernel's, and tests.
func ownTable(path string) bool {
	folder := folderOf(path)
	return folder == "internal/simkernel" || under(folder, "tests") || strings.HasSuffix(path, "_test.go")
}

// bare reports whether an expression is a number other than zero, 1 << 4 among them.
func bare(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.INT && e.Value != "0"
	case *ast.ParenExpr:
		return bare(e.X)
	case *ast.BinaryExpr:
		return bare(e.X) && bare(e.Y)
	case *ast.CallExpr: // uint32(27)
		return len(e.Args) == 1 && bare(e.Args[0])
	}
	return false
}

// numberOf returns the name of the field or method that an expression gets a kernel's number from; empty if it does not.
func numberOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		if slices.Contains(holdsNumber, e.Sel.Name) {
			return e.Sel.Name
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && len(e.Args) == 0 && slices.Contains(isNumber, f.Sel.Name) {
			return f.Sel.Name
		}
		if len(e.Args) == 1 { // uapi.ProgType(p.Type)
			return numberOf(e.Args[0])
		}
	}
	return ""
}

// The rule itself.
func TestBareNumbers(t *testing.T) {
	for code, want := range map[string]bool{
		`var x = []row{{name: "uprobe.multi+", attach: 48}}`:                          true,
		`var x = []row{{name: "uprobe.multi+", attach: uapi.AttachTraceUprobeMulti}}`: false,
		`var x = row{Flags: 1 << 4}`:                                                  true,
		`var x = row{Flags: uint32(uapi.ProgFlagSleepable) | 1<<31}`:                  false,
		`var x = row{Type: 0}`:                                                        false,
		`func f(p prog) bool { return p.Type == 27 }`:                                 true,
		`func f(p prog) bool { return 27 != uapi.ProgType(p.Type) }`:                  true,
		`func f(p prog) bool { return p.Type == uapi.ProgTypeStructOps }`:             false,
		`func f(p prog) bool { return p.Flags&(1<<4) != 0 }`:                          true,
		`func f(in insn.Insn) uint8 { return in.Op & 7 }`:                             true,
		`func f(in insn.Insn) bool { return in.Class() == 5 }`:                        true,
		`func f(p prog) { switch p.ExpectedAttachType { case 23: } }`:                 true,
		`func f(p prog) { switch p.ExpectedAttachType { case uapi.AttachXDP: } }`:     false,
		`func f(n int) { switch n { case 23: } }`:                                     false,
		`func f(a attr) uint32 { return a.u32(52) }`:                                  true,
		`func f(a attr) uint32 { return a.u32(createKeyType) }`:                       false,
		"const structOps = 27 // BPF_PROG_TYPE_STRUCT_OPS":                            true,
		"// cmds are of enum bpf_cmd.\nconst (\n\tmapCreate = 0\n\tmapUpdate = 2\n)":  true,
		"// sleepable is BPF_F_SLEEPABLE.\nconst sleepable = 1 << 4":                  true,
		"const large = 1 << 22":                                                       false,
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(root, "internal", "x", "x.go"), "package x\n"+code, parser.ParseComments)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(len(bareNumbers(set, file)) > 0, want), qt.Commentf("%s", code))
	}
}
