package loader

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

const (
	none   = simkernel.NoValue
	number = simkernel.Number
	data   = simkernel.Pointer
	record = simkernel.StructPointer
)

func proto(result simkernel.ValueKind, params ...simkernel.ValueKind) *simkernel.Prototype {
	return &simkernel.Prototype{Params: params, Result: result}
}

// kfuncs are the prototypes that the verifier holds programs to that attach to the functions in tests/features/weak.bpf.c.
var kfuncs = map[string]*simkernel.Prototype{
	"bpf_task_from_pid":        proto(record, number),
	"bpf_task_release":         proto(none, record),
	"bpf_rdonly_cast":          proto(data, data, number),
	"bpf_rcu_read_lock":        proto(none),
	"bpf_rcu_read_unlock":      proto(none),
	"bpf_cpumask_first":        proto(number, record),
	"bpf_stream_vprintk":       proto(number, number, data, data, number),
	"bpf_list_push_front":      proto(number, record, record, record, number),
	"bpf_list_push_front_impl": proto(number, record, record, data, number),
	"bpf_stream_vprintk_impl":  {Params: []simkernel.ValueKind{number, data, data, number, record}, Result: number, NoAddress: true},
}

// kernelWith is a kernel with these functions and no others, each in a module if there is one.
func kernelWith(functions map[string]*simkernel.Prototype, module string) simkernel.Config {
	return simkernel.Config{
		Prototype: func(name string) *simkernel.Prototype { return functions[name] },
		Lookup:    func(name string, _ uint32) (string, bool) { return module, functions[name] != nil },
	}
}

// there returns the declarations of functions that a program finds to be there, as they are named in the source.
func there(t *testing.T, o *object.Object, res *simkernel.Result, program string) []string {
	t.Helper()
	i := slices.IndexFunc(res.Progs, func(p *simkernel.Prog) bool { return p.Name == program })
	qt.Assert(t, qt.IsTrue(i >= 0))
	var found []string
	for _, ref := range findProgram(t, o, program).Refs {
		if ref.Extern == nil {
			continue
		}
		if r := res.Progs[i].Refs[ref.Insn]; r.Symbol != nil {
			qt.Check(t, qt.Equals(r.Symbol.Name, ref.Extern.Name))
			found = append(found, o.BTF.Types[ref.Extern.Type].Name)
		}
	}
	slices.Sort(found)
	return found
}

func TestWeakFunctionsWithOtherPrototypesAreMissing(t *testing.T) {
	for _, name := range []string{"weak", "eb/weak"} {
		for _, s := range bundle.Schemes {
			for _, module := range []string{"", "a_module"} {
				o := parseFixture(t, name)
				l, err := simkernel.FromBundle(compile(t, o), s)
				qt.Assert(t, qt.IsNil(err))
				res := simkernel.Run(l, simkernel.Options{Config: kernelWith(kfuncs, module)})
				qt.Assert(t, qt.IsNil(res.Err()))
				qt.Assert(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
				qt.Check(t, qt.DeepEquals(there(t, o, res, "look"), []string{
					"bpf_cpumask_first___right", "bpf_list_push_front", "bpf_rcu_read_lock___right", "bpf_rdonly_cast___right", "bpf_stream_vprintk",
					"bpf_task_from_pid___right", "bpf_task_release___right",
				}))
			}
		}
	}
}

// declared makes an object whose only program looks at a weak function, and Compile's bundle of it.
func declared(t *testing.T, opts Options, types ...btf.Type) (*object.Object, *bundle.Bundle) {
	t.Helper()
	o := many(1)
	o.BTF = &btf.Spec{Order: o.Order, Types: append([]btf.Type{{}}, types...)}
	p := o.Programs[0]
	p.Insns = []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1}, {}, {Op: insn.Call, Src: insn.PseudoCall}, {Op: insn.MovK}, {Op: insn.Exit}}
	e := &object.Extern{Name: "kfunc", Kind: object.Kfunc, Weak: true, Type: o.BTF.Find(btf.Func, "kfunc")}
	p.Refs = []object.Ref{{Insn: 0, Extern: e}, {Insn: 2, Extern: e}}
	b, err := Compile(o, opts)
	qt.Assert(t, qt.IsNil(err))
	return o, b
}

// function makes the types of a function kfunc: of a result and of parameters that each are one of the types here.
func function(result btf.ID, params ...btf.ID) []btf.Type {
	proto := btf.Type{Kind: btf.FuncProto, Ref: result}
	for _, p := range params {
		proto.Members = append(proto.Members, btf.Member{Type: p})
	}
	return []btf.Type{
		1:  {Kind: btf.Int, Name: "long", Size: 8},
		2:  {Kind: btf.Ptr},
		3:  {Kind: btf.Struct, Name: "s", Size: 8},
		4:  {Kind: btf.Ptr, Ref: 3},
		5:  {Kind: btf.Enum, Name: "e", Size: 4},
		6:  {Kind: btf.Ptr, Ref: 1},
		7:  {Kind: btf.Typedef, Name: "t", Ref: 4},
		8:  {Kind: btf.Fwd, Name: "f"},
		9:  {Kind: btf.Ptr, Ref: 8},
		10: {Kind: btf.Ptr, Ref: 2},
		11: {Kind: btf.Int, Name: "__int128", Size: 16},
		12: proto,
		13: {Kind: btf.Func, Name: "kfunc", Ref: 12},
	}[1:]
}

// Types of function.
const (
	void, long, voidPtr, structType, structPtr, enum, longPtr, alias, fwdPtr, ptrPtr, int128 btf.ID = 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11
)

func TestWeakPrototypes(t *testing.T) {
	for _, c := range []struct {
		name   string
		own    []btf.Type
		kernel *simkernel.Prototype
		there  bool
	}{
		{"nothing", function(void), proto(none), true},
		{"numbers", function(long, enum, long), proto(number, number, number), true},
		{"pointers", function(voidPtr, longPtr, voidPtr), proto(data, data, data), true},
		{"structs", function(structPtr, alias, fwdPtr), proto(record, record, record), true},
		{"eleven", function(long, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), proto(number, slices.Repeat([]simkernel.ValueKind{number}, 11)...), true},
		{"pointer to a pointer", function(void, ptrPtr, long), proto(none, data, number), true},

		{"one more", function(long, long), proto(number), false},
		{"one fewer", function(long), proto(number, number), false},
		{"two fewer", function(long), proto(number, number, number), false},
		{"one fewer and void", function(void, structPtr), proto(none, record, record), false},
		{"one more and void", function(void, long), proto(none), false},
		{"one more than a struct", function(void, structPtr), proto(record), false},
		{"number for a pointer", function(void, long), proto(none, data), false},
		{"number for a struct", function(void, long), proto(none, record), false},
		{"pointer for a struct", function(void, voidPtr), proto(none, record), false},
		{"struct for a number", function(void, structPtr), proto(none, number), false},
		{"struct for a pointer", function(void, fwdPtr), proto(none, data), false},
		{"the last of five", function(void, 1, 1, 1, 1, structPtr), proto(none, number, number, number, number, number), false},
		{"void for a number", function(void), proto(number), false},
		{"void for a struct", function(void), proto(record), false},
		{"number for void", function(long), proto(none), false},
		{"number for a struct as a result", function(long), proto(record), false},
		{"pointer for void", function(voidPtr), proto(none), false},
		{"pointer for a struct as a result", function(voidPtr), proto(record), false},
		{"struct for void", function(structPtr), proto(none), false},
		{"struct for a pointer as a result", function(structPtr), proto(data), false},
		{"struct for a number as a result", function(structPtr), proto(number), false},
		{"no function", function(void), &simkernel.Prototype{NoAddress: true}, false},

		// The verifier makes no difference, or the object declares what cannot be compared.
		{"pointer for a number", function(void, voidPtr), proto(none, number), true},
		{"int128", function(void, int128), proto(none), true},
		{"struct by value", function(void, structType), proto(none), true},
		{"varargs", function(void, long, void), proto(none), true},
		{"twelve", function(long, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), proto(number), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, b := declared(t, Options{}, c.own...)
			l, err := simkernel.FromBundle(b, bundle.MapHash)
			qt.Assert(t, qt.IsNil(err))
			res := simkernel.Run(l, simkernel.Options{Config: kernelWith(map[string]*simkernel.Prototype{"kfunc": c.kernel}, "")})
			qt.Assert(t, qt.IsNil(res.Err()))
			qt.Assert(t, qt.Equals(res.Errno, 0))
			qt.Check(t, qt.Equals(len(there(t, o, res, "prog0")) > 0, c.there))
		})
	}
}

// An attached program sees the arguments that the verifier fills in, too. Such a function has a second entry in BTF.
func TestWeakFunctionsWithImplicitArguments(t *testing.T) {
	for _, c := range []struct {
		name   string
		own    []btf.Type
		kernel map[string]*simkernel.Prototype
		there  bool
	}{
		{"filled in", function(long, long), map[string]*simkernel.Prototype{
			"kfunc": proto(number, number, record), "kfunc_impl": proto(number, number, record)}, true},
		{"an argument more", function(long, long), map[string]*simkernel.Prototype{"kfunc": proto(number, number, record)}, false},
		{"two filled in", function(long, long), map[string]*simkernel.Prototype{
			"kfunc": proto(number, number, record, number), "kfunc_impl": proto(number, number, record, number)}, true},
		{"two more", function(long, long), map[string]*simkernel.Prototype{"kfunc": proto(number, number, record, number)}, false},
		{"another argument", function(long, voidPtr), map[string]*simkernel.Prototype{
			"kfunc": proto(number, record, record), "kfunc_impl": proto(number, record, record)}, false},
	} {
		for _, module := range []string{"", "a_module"} {
			t.Run(strings.TrimSpace(c.name+" "+module), func(t *testing.T) {
				o, b := declared(t, Options{}, c.own...)
				l, err := simkernel.FromBundle(b, bundle.Payload)
				qt.Assert(t, qt.IsNil(err))
				res := simkernel.Run(l, simkernel.Options{Config: kernelWith(c.kernel, module)})
				qt.Assert(t, qt.IsNil(res.Err()))
				qt.Assert(t, qt.Equals(res.Errno, 0))
				qt.Check(t, qt.Equals(len(there(t, o, res, "prog0")) > 0, c.there))
			})
		}
	}
}

// Whichever call of a comparison fails, nothing is left open. Where the kernel cannot compare, or a policy forbids it, the function
// counts; any other error is the loader's.
func TestFailuresWhileComparing(t *testing.T) {
	o := parseFixture(t, "weak")
	l, err := simkernel.FromBundle(compile(t, o), bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	calls := 0
	for _, ev := range simkernel.Run(l, simkernel.Options{Config: kernelWith(kfuncs, "a_module")}).Events {
		calls = max(calls, ev.N)
	}
	qt.Assert(t, qt.IsTrue(calls > 50), qt.Commentf("%d calls", calls))
	for _, errno := range []simkernel.Errno{simkernel.EPERM, simkernel.EINVAL, simkernel.ENOMEM} {
		cfg := kernelWith(kfuncs, "a_module")
		cfg.FailErrno = errno
		for cfg.FailCall = 1; cfg.FailCall <= calls; cfg.FailCall++ {
			res := simkernel.Run(l, simkernel.Options{Config: cfg})
			qt.Assert(t, qt.IsNil(res.Err()), qt.Commentf("%v at call %d", errno, cfg.FailCall))
			var injected *simkernel.Event
			for _, ev := range res.Events {
				if ev.Injected {
					injected = ev
				}
			}
			want := errno
			if injected == nil || forgiven(o, injected) {
				want = 0
			}
			qt.Check(t, qt.Equals(res.Errno, want), qt.Commentf("call %d", cfg.FailCall))
		}
	}
}

// forgiven says of a call that was made to fail whether the loader goes on.
func forgiven(o *object.Object, ev *simkernel.Event) bool {
	if missingWeak(o)(ev) {
		return true
	}
	if ev.Symbol != nil { // of the function with all arguments
		name, ok := strings.CutSuffix(ev.Symbol.Name, implSuffix)
		return ok && slices.ContainsFunc(o.Externs, func(e *object.Extern) bool { return e.Weak && e.Name == name })
	}
	e := ev.Errno()
	first := ev.Prog != nil && bytes.Equal(ev.Prog.Insns, insn.Append(nil, o.Order, controlTrial().insns...))
	return first && (e == simkernel.EPERM || e == simkernel.EINVAL)
}

// What the kernel BTF given says is not asked again.
func TestWeakPrototypesOfKernelBTF(t *testing.T) {
	for _, c := range []struct {
		name        string
		own, kernel []btf.Type
		there       bool
	}{
		{"the same", function(structPtr, long, voidPtr), function(structPtr, long, voidPtr), true},
		{"a forward declaration", function(fwdPtr, fwdPtr), function(structPtr, alias), true},
		{"a pointer for a number", function(void, voidPtr), function(void, long), false},
		{"a pointer to a number for one to anything", function(void, longPtr), function(void, voidPtr), false},
		{"an enum for a number", function(void, enum), function(void, long), false},
		{"one more", function(void, long), function(void), false},
		{"result", function(void), function(long), false},
		{"by value", function(void, structType), function(void, structPtr), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernel := &btf.Spec{Types: append([]btf.Type{{}}, c.kernel...)}
			o, b := declared(t, Options{KernelBTF: kernel}, c.own...)
			l, err := simkernel.FromBundle(b, bundle.Payload)
			qt.Assert(t, qt.IsNil(err))
			res := simkernel.Run(l, simkernel.Options{}) // on which each function has any prototype
			qt.Assert(t, qt.IsNil(res.Err()))
			qt.Check(t, qt.Equals(len(there(t, o, res, "prog0")) > 0, c.there))
			asked := slices.ContainsFunc(res.Events, func(ev *simkernel.Event) bool { return ev.Kind == simkernel.EventFindBTF })
			qt.Check(t, qt.Equals(asked, c.there))
		})
	}
	// A kernel whose BTF lacks the function may have it in a module.
	o, b := declared(t, Options{KernelBTF: &btf.Spec{Types: []btf.Type{{}}}}, function(void)...)
	l, err := simkernel.FromBundle(b, bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(there(t, o, simkernel.Run(l, simkernel.Options{}), "prog0"), 2))
}

// A type that refers to itself, as only malformed BTF has it, is no endless comparison.
func TestComparisonEnds(t *testing.T) {
	const toItself, function, toFunction btf.ID = 1, 2, 3
	spec := &btf.Spec{Types: []btf.Type{
		{}, {Kind: btf.Ptr, Ref: toItself}, {Kind: btf.FuncProto, Ref: toFunction}, {Kind: btf.Ptr, Ref: function},
	}}
	for range 20 {
		spec.Types[function].Members = append(spec.Types[function].Members, btf.Member{Type: toFunction})
	}
	c := comparison{spec, spec}
	qt.Check(t, qt.IsFalse(c.same(toItself, toItself, maxNested)))
	qt.Check(t, qt.IsTrue(c.same(function, function, maxNested)))
}
