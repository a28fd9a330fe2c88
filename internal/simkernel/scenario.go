package simkernel

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Scenario is something that an untrusted host may do between signature and load.
type Scenario string

// The scenarios.
const (
	// Honest hosts do what they should.
	Honest Scenario = ""
	// NonExclusive creates the metadata map without excl_prog_hash.
	NonExclusive Scenario = "nonexclusive"
	// StaleHash does too, has it hashed, and lets another program rewrite its contents: CVE-2026-80675.
	StaleHash Scenario = "stale-hash"
	// NotHashed never asks the kernel to hash the map.
	NotHashed Scenario = "not-hashed"
	// NotFrozen does not freeze it.
	NotFrozen Scenario = "not-frozen"
	// TamperedBlob changes the blob before the map is made of it.
	TamperedBlob Scenario = "tampered-blob"
	// TamperedInsns changes the loader's instructions.
	TamperedInsns Scenario = "tampered-insns"
	// WrongProgram makes the map exclusive to another program.
	WrongProgram Scenario = "wrong-program"
)

// Scenarios are all scenarios.
var Scenarios = []Scenario{Honest, NonExclusive, StaleHash, NotHashed, NotFrozen, TamperedBlob, TamperedInsns, WrongProgram}

// Options say on which kernel a loader is run and how.
type Options struct {
	Scenario Scenario
	// Config describes the kernel. Its byte order is the loader's, and its Attest too unless ForeignKernel is set. A nil
	// Verify takes any signature of the bytes that the loader's scheme signs.
	Config
	ForeignKernel bool
	// NoSignature loads the loader without its signature. The checks in a map-hash loader are there all the same.
	NoSignature bool
	// Digest changes what struct bpf_map shows as the digest, for hosts that can make it whatever they like.
	Digest func(sha []byte)
	// Ctx fills the context in before the run.
	Ctx func(ctx []byte)
	// Again runs the loader a second time with the same metadata map: Result.Again.
	Again bool
}

// Run loads and runs a loader as a host does: ours, with the options' doing.
func Run(l Loader, o Options) *Result {
	cfg := o.Config
	cfg.BigEndian = l.BigEndian
	model, err := hostFor(l.Scheme)
	if err != nil {
		res := &Result{order: New(cfg).order(), Errno: EOPNOTSUPP, Why: err.Error()}
		res.Events = append(res.Events, &Event{Kind: EventHost, Ret: res.Errno.ret(), Text: err.Error()})
		return res
	}
	if !o.ForeignKernel {
		cfg.Attest = model.attest
	}
	if cfg.Verify == nil {
		cfg.Verify = func(signed, _ []byte, _ int32) Errno {
			if !bytes.Equal(signed, model.signed(l)) {
				return EKEYREJECTED
			}
			return 0
		}
	}
	k := New(cfg)
	h := &host{k: k, l: l, o: o, model: model, res: &Result{order: k.order()}}
	h.load()
	return h.res
}

// host is a loading process.
type host struct {
	k     *Kernel
	l     Loader
	o     Options
	model hostModel
	res   *Result
}

// did records a step of the host and whether the kernel refused it.
func (h *host) did(e Errno, format string, args ...any) bool {
	h.res.Events = append(h.res.Events, &Event{Kind: EventHost, Ret: e.ret(), Text: fmt.Sprintf(format, args...)})
	h.res.Errno = e
	return e == 0
}

// kernel records what the kernel has checked.
func (h *host) kernel(text string) {
	h.res.Events = append(h.res.Events, &Event{Kind: EventHost, Kernel: true, Text: text})
}

func (h *host) load() {
	scenario := h.o.Scenario
	signed := h.l.Scheme != 0
	insns, blob := slices.Clone(h.l.Insns), slices.Clone(h.l.Blob)
	if len(insns) == 0 || len(blob) == 0 {
		h.did(EINVAL, "no loader")
		return
	}
	switch scenario {
	case TamperedBlob:
		blob[len(blob)-1] ^= 1
	case TamperedInsns:
		insns[len(insns)-1] ^= 1 // of the last exit, which ignores its immediate
	}
	meta := &Map{Name: "__loader.map", Type: mapArray, KeySize: 4, ValueSize: uint32(len(blob)), MaxEntries: 1}
	how := "not exclusive"
	if signed && scenario != NonExclusive && scenario != StaleHash {
		hash := sha256.Sum256(insns)
		how = "exclusive to the loader"
		if scenario == WrongProgram {
			hash[0] ^= 1
			how = "exclusive to another program"
		}
		meta.ExclProgHash = hash[:]
	}
	fd, e := h.k.CreateMap(meta)
	if !h.did(e, "metadata map of %s bytes, %s", Thousands(len(blob)), how) {
		return
	}
	if e := h.k.updateMap(fd, blob); e != 0 {
		h.did(e, "fill the metadata map")
		return
	}
	if signed && scenario != NotFrozen && !h.did(h.k.freezeMap(fd), "freeze the metadata map") {
		return
	}
	if h.model.hashes && scenario != NotHashed {
		if _, e := h.k.hashMap(fd); !h.did(e, "have the metadata map hashed") && scenario != NotFrozen {
			return
		}
	}
	if h.o.Digest != nil {
		h.o.Digest(meta.sha[:])
	}
	if scenario == StaleHash {
		e := h.k.rewriteMap(fd, [sha256.Size]byte{}, func(value []byte) { value[len(value)-1] ^= 1 })
		if !h.did(e, "another program rewrites the metadata map") {
			return
		}
	}
	attr := LoadAttr{Insns: insns, FDArray: []int32{fd}, FDArrayCnt: h.model.fdArrayCnt}
	if signed && !h.o.NoSignature {
		attr.Signature = []byte("signature")
	}
	h.res.Stage = StageLoad
	prog, e, why := h.k.Load(attr)
	h.res.Why = why
	if !h.did(e, "load the loader, %s instructions, %s", Thousands(len(insns)/bundle.InsnSize), h.signature()) {
		return
	}
	if !h.o.NoSignature {
		for _, check := range h.model.checked {
			h.kernel(check)
		}
	}
	size := h.l.CtxSize
	if size == 0 {
		size = bundle.MaxCtx
	}
	l, e := get[*loader](&h.k.fds, prog)
	if e != 0 {
		panic(e) // it was just opened
	}
	h.run(h.res, l, size)
	if h.o.Again && h.res.Stage == StageRun && h.res.Fault == nil {
		for fd, f := range h.k.fds.open { // what the first run has left is the host's now
			f.host = true
			h.k.fds.open[fd] = f
		}
		h.res.Again = &Result{order: h.k.order()}
		h.run(h.res.Again, l, size)
	}
}

// run runs a loader with a context of its own.
func (h *host) run(res *Result, l *loader, size int) {
	res.Ctx = make([]byte, size)
	if size >= 4 {
		h.k.order().PutUint32(res.Ctx, uint32(size))
	}
	if h.o.Ctx != nil {
		h.o.Ctx(res.Ctx)
	}
	h.k.runInto(res, l)
}

func (h *host) signature() string {
	if h.o.NoSignature {
		return unsignedHost.signature
	}
	return h.model.signature
}

// Thousands formats a number with commas, "1,234".
func Thousands[N int | uint32](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
