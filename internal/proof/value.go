package proof

import (
	"fmt"
	"slices"
	"strings"
)

// kind says what a value is.
type kind uint8

const (
	// kTop is a value about which nothing is known.
	kTop kind = iota
	// kUninit is what was never written: a register or a byte of the stack.
	kUninit
	// kConst is a number.
	kConst
	// kPtr is an address: a region and an offset in it.
	kPtr
	// kRet is what a call returned, success or error.
	kRet
	// kNeg is a negative error that a call returned.
	kNeg
	// kFD is a descriptor that a call of this run returned. It is positive and fits 32 bits.
	kFD
	// kFound is what bpf_btf_find_by_name_kind returned when it found something: the type's id in the lower half, and in the upper one
	// a descriptor of the module's BTF, or 0 for the kernel's own.
	kFound
	// kAddr is the address that bpf_kallsyms_lookup_name wrote, 0 if there is no such symbol.
	kAddr
	// kPart is some bytes of a kFound or kAddr, as a number.
	kPart
	// kInput is bytes of the context that the host filled in.
	kInput
	// kField is bytes of the metadata map's struct bpf_map.
	kField
	// kDiff is a number that is zero exactly if some bytes of struct bpf_map are what they should be.
	kDiff
	// kStale is what is in the blob at a place whose contents are not known: all of it before the checks have passed, and what an earlier
	// run got from the kernel and left there.
	kStale
	// kGuard is what the exchange with the run-once guard returned.
	kGuard
	// kOutput is what the kernel wrote to an attribute.
	kOutput
	// kChoice is one of several values: which one depends on a condition, or is not known.
	kChoice
)

// region is a part of the memory that a loader can address.
type region uint8

const (
	rBlob region = iota
	rStack
	rCtx
	rMap // struct bpf_map of the metadata map
)

func (r region) String() string {
	return [...]string{"the blob", "the stack", "the context", "struct bpf_map"}[r]
}

// value is what a register or some bytes of memory hold. Values are immutable, but for a choice under construction.
type value struct {
	kind kind
	reg  region // of a kPtr
	// n is a constant, an offset in a region, or where in its base a part begins, in bytes.
	n int64
	// size is how many bytes a kPart, kInput or kField has.
	size int
	call *call   // that the value comes from
	diff facts   // of a kDiff
	alts []*alt  // of a kChoice
	own  *call   // of a kChoice: its descriptor is open exactly if the value is that descriptor
	cond *branch // of a kChoice of two: alts[0] where the branch was taken
	be   bool    // of a kInput: its lowest byte in memory is the most significant one
}

// alt is one of the values of a choice.
type alt = value

var (
	top    = &value{kind: kTop}
	uninit = &value{kind: kUninit}
	anyNeg = &value{kind: kNeg}
	stale  = &value{kind: kStale}
	zero   = &value{kind: kConst}
	output = &value{kind: kOutput}
)

func constant(n int64) *value {
	if n == 0 {
		return zero
	}
	return &value{kind: kConst, n: n}
}

func pointer(r region, off int64) *value { return &value{kind: kPtr, reg: r, n: off} }

// is tells a constant.
func (v *value) is(n int64) bool { return v.kind == kConst && v.n == n }

// isModule tells the upper half of what bpf_btf_find_by_name_kind found: the descriptor of a module's BTF, or 0.
func (v *value) isModule() bool {
	return v.kind == kPart && v.alts[0].kind == kFound && v.n == 4 && v.size == 4
}

// equal compares values.
func equal(a, b *value) bool {
	if a == b {
		return true
	}
	if a.kind != b.kind || a.n != b.n || a.size != b.size || a.call != b.call || a.reg != b.reg || a.diff != b.diff || len(a.alts) != len(b.alts) {
		return false
	}
	if a.kind == kTop || a.kind == kUninit {
		return true
	}
	if !sameCondition(a.cond, b.cond) || a.own != b.own {
		return false
	}
	for i := range a.alts {
		if !equal(a.alts[i], b.alts[i]) {
			return false
		}
	}
	return true
}

// sameCondition compares conditions. An instruction is reached at most once in a run, so it stands for the branch.
func sameCondition(a, b *branch) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.pc == b.pc
}

// width is how many low bytes of a value may be other than zero.
func (v *value) width() int {
	switch v.kind {
	case kFD:
		return 4
	case kPart, kInput, kField:
		return v.size
	case kConst:
		for w := range 8 {
			if uint64(v.n)>>(8*w) == 0 {
				return w
			}
		}
	case kChoice:
		w := 0
		for _, a := range v.alts {
			w = max(w, a.width())
		}
		return w
	}
	return 8
}

// part is size bytes of a value from byte lo, as a number.
func (v *value) part(lo, size int) *value {
	if lo == 0 && size >= v.width() {
		return v
	}
	if lo >= v.width() {
		return zero
	}
	switch v.kind {
	case kConst:
		return constant(int64(uint64(v.n) >> (8 * lo) & (1<<(8*size) - 1)))
	case kFound, kAddr:
		return &value{kind: kPart, call: v.call, n: int64(lo), size: size, alts: []*alt{v}}
	case kPart:
		return v.alts[0].part(int(v.n)+lo, min(size, v.size-lo))
	case kInput:
		size = min(size, v.size-lo)
		at := v.n + int64(lo)
		if v.be {
			at = v.n + int64(v.size-lo-size)
		}
		return &value{kind: kInput, n: at, size: size, be: v.be}
	case kStale, kOutput:
		return v
	case kNeg:
		if lo == 0 && size == 4 {
			return v // negative as a 32-bit number, too
		}
	case kChoice:
		return v.each1(func(a *value) *value { return a.part(lo, size) })
	}
	return top
}

// leaves counts the values that v may be, each as often as it is in v, and stops counting beyond a limit.
func (v *value) leaves(limit int) int {
	if v.kind != kChoice {
		return 1
	}
	n := 0
	for _, a := range v.alts {
		if n += a.leaves(limit - n); n > limit {
			break
		}
	}
	return n
}

// each calls f for every value that v may be.
func (v *value) each(f func(*value)) {
	if v.kind != kChoice {
		f(v)
		return
	}
	for _, a := range v.alts {
		a.each(f)
	}
}

// each1 is v with every value that it may be replaced.
func (v *value) each1(f func(*value) *value) *value {
	if v.kind != kChoice {
		return f(v)
	}
	c := &value{kind: kChoice, cond: v.cond, own: v.own}
	for _, a := range v.alts {
		c.alts = append(c.alts, a.each1(f))
	}
	return c.simple()
}

// simple is a choice, or the only value that it has.
func (v *value) simple() *value {
	if slices.ContainsFunc(v.alts, func(a *value) bool { return !equal(a, v.alts[0]) }) {
		return v
	}
	return v.alts[0]
}

// all reports whether f holds for every value that v may be.
func (v *value) all(f func(*value) bool) bool {
	ok := true
	v.each(func(a *value) { ok = ok && f(a) })
	return ok
}

// has reports whether v may be a value of a kind.
func (v *value) has(k kind) bool { return !v.all(func(a *value) bool { return a.kind != k }) }

// String describes a value for findings and for the derived contract: it names what a call was about, never where it is.
func (v *value) String() string {
	switch v.kind {
	case kTop:
		return "an unknown value"
	case kUninit:
		return "no value"
	case kConst:
		if v.n >= -4095 && v.n < 1<<16 {
			return fmt.Sprint(v.n)
		}
		return fmt.Sprintf("%#x", uint64(v.n))
	case kPtr:
		return fmt.Sprintf("the address of %v+%d", v.reg, v.n)
	case kRet:
		return fmt.Sprintf("the result of %v", v.call)
	case kNeg:
		return "an error"
	case kFD:
		return fmt.Sprintf("the descriptor of %v", v.call)
	case kFound:
		return fmt.Sprintf("the id and module of %v", v.call)
	case kAddr:
		return fmt.Sprintf("the address of %v", v.call)
	case kPart:
		switch {
		case v.alts[0].kind == kFound && v.n == 0 && v.size == 4:
			return fmt.Sprintf("the id of %v", v.call)
		case v.alts[0].kind == kFound && v.n == 4 && v.size == 4:
			return fmt.Sprintf("the module of %v", v.call)
		}
		return fmt.Sprintf("bytes %d to %d of %v", v.n, int(v.n)+v.size-1, v.alts[0])
	case kInput:
		return fmt.Sprintf("%d bytes of the context at %d", v.size, v.n)
	case kField:
		return fmt.Sprintf("%d bytes of struct bpf_map at %d", v.size, v.n)
	case kDiff:
		return "a comparison with struct bpf_map"
	case kStale:
		return "what an earlier run or the host left in the blob"
	case kGuard:
		return "the run-once guard"
	case kOutput:
		return "what the kernel wrote"
	}
	var texts []string
	for _, a := range v.alts {
		texts = append(texts, a.String())
	}
	if v.cond != nil {
		return fmt.Sprintf("%s if %v, else %s", texts[0], v.cond.text, texts[1])
	}
	slices.Sort(texts)
	return "one of: " + strings.Join(texts, ", ")
}
