//go:build linux

// Package story tells what CVE-2026-80675 and CVE-2026-74364 are, by doing it: it plays a signer, and a host that may not
// change what was signed, and does.
package story

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/victim"
)

// Verdict is how an attack has ended.
type Verdict string

// The ends of an attack.
const (
	// Fooled: a loader that was signed has loaded a program that nobody signed.
	Fooled Verdict = "fooled"
	// KeptOut: the host could not change the map.
	KeptOut Verdict = "kept out"
	// KernelRefused and LoaderRefused: the map was changed, or could be, and it did not help.
	KernelRefused Verdict = "kernel refuses"
	LoaderRefused Verdict = "loader refuses"
)

// Attack is one of the ways in.
type Attack struct {
	// Title is what the attack is called, CVE where it is written down.
	Title, CVE string
	// Shared: the host leaves out excl_prog_hash.
	Shared bool
	// Way tells how the host's own program comes by the map; Rewrite is that.
	Way     string
	Rewrite func(m *ebpf.Map, at int, word uint64) error
}

// The attacks.
var (
	SharedMap = Attack{
		"The map that is not exclusive", "CVE-2026-80675", true,
		"which names the map", host.Rewrite,
	}
	InnerMap = Attack{
		"The exclusive map that is an inner map", "CVE-2026-74364", false,
		"which finds the map in an array of maps, where nobody asks whose it is", host.RewriteInner,
	}
)

// A Chapter is an attack on a loader of a scheme. With Before, the loader is one from before the fix: it checks its map's
// digest, and not whether the map is its own.
type Chapter struct {
	Attack
	Scheme bundle.Scheme
	Before bool
	// Want is how it ends.
	Want Verdict
}

// Name is the chapter's, as a test's.
func (c Chapter) Name() string {
	when := "today"
	if c.Before {
		when = "before"
	}
	return fmt.Sprintf("%s/%v/%s", c.CVE, c.Scheme, when)
}

// Chapters are all that may be tried, and how they end on a kernel that attests by a scheme, or by none: loaders from before
// the fix are fooled by every kernel that loads them, today's by none.
func Chapters(kernel bundle.Scheme) []Chapter {
	const before, today = true, false
	switch kernel {
	case bundle.MapHash:
		return []Chapter{
			{SharedMap, bundle.MapHash, before, Fooled},
			{SharedMap, bundle.MapHash, today, LoaderRefused},
			{InnerMap, bundle.MapHash, before, KeptOut},
			{InnerMap, bundle.MapHash, today, KeptOut},
		}
	case bundle.Payload:
		return []Chapter{
			{SharedMap, bundle.MapHash, before, KernelRefused},
			{SharedMap, bundle.MapHash, today, KernelRefused},
			{SharedMap, bundle.Payload, today, KernelRefused},
			{InnerMap, bundle.Payload, today, KeptOut},
		}
	}
	return []Chapter{
		{SharedMap, bundle.MapHash, before, Fooled},
		{SharedMap, bundle.MapHash, today, KernelRefused},
		{InnerMap, bundle.MapHash, before, Fooled},
		{InnerMap, bundle.MapHash, today, KernelRefused},
	}
}

// A Teller tells stories.
type Teller struct {
	Out io.Writer
	// Signer signs; without one the loaders are not signed, for kernels that cannot verify a signature.
	Signer *signing.Identity
}

func (t *Teller) say(format string, args ...any) { fmt.Fprintf(t.Out, format+"\n", args...) }

// Tell plays a chapter.
func (t *Teller) Tell(c Chapter) (Verdict, error) {
	a, s, before := c.Attack, c.Scheme, c.Before
	t.say("%s (%s), and a loader of scheme %v%s", a.Title, a.CVE, s, map[bool]string{true: ", from before the fix"}[before])
	b, err := t.sign(before)
	if err != nil {
		return "", err
	}
	at, old, evil, err := target(b)
	if err != nil {
		return "", err
	}
	t.say("  signer   makes a loader for one program, which returns %d: deny. Signs %s.", victim.Deny, map[bundle.Scheme]string{
		bundle.MapHash: "its instructions, and the digest of the map is one of them", bundle.Payload: "its instructions and the map",
	}[s])
	if t.Signer == nil {
		t.say("           (No signature here: this kernel cannot verify one. It would change nothing below.)")
	}
	if a.Shared {
		t.say("  host     makes the loader's map, but leaves out excl_prog_hash: any program may have it.")
	} else {
		t.say("  host     makes the loader's map, exclusive to the loader.")
	}
	outcome := host.Play(b, s, host.Plan{Shared: a.Shared, Meanwhile: func(m *ebpf.Map) error {
		_, sum, err := host.Contents(m)
		if err != nil {
			return err
		}
		t.say("  host     fills and freezes it, and has the kernel hash it: map->sha is %x..., as signed.", sum[:4])
		t.say("  host     loads a program of its own, %s, to write the map's bytes %d to %d:", a.Way, at, at+insn.Size-1)
		if err := a.Rewrite(m, at, binary.NativeEndian.Uint64(evil)); err != nil {
			return err
		}
		now, sum, err := host.Contents(m)
		if err != nil {
			return err
		}
		if !bytes.Equal(now[at:at+insn.Size], evil) {
			return errors.New("the program wrote nothing")
		}
		t.say("           % x   r0 = %d", old, victim.Deny)
		t.say("           % x   r0 = %d", evil, victim.Allow)
		t.say("           The map's digest is %x... now. map->sha is what it was.", sum[:4])
		t.say("  host     loads the loader, of which it has not changed a byte.")
		return nil
	}})
	defer outcome.Close(b)
	verdict, err := t.judge(b, outcome)
	t.say("")
	return verdict, err
}

func (t *Teller) judge(b *bundle.Bundle, outcome host.Outcome) (Verdict, error) {
	switch {
	case outcome.Prepare != nil:
		var errno unix.Errno
		if !errors.As(outcome.Prepare, &errno) {
			return "", outcome.Prepare
		}
		t.say("  kernel   does not let it: %s.", host.Errno(errno))
		t.say("  -> The attack fails: the map is the loader's alone.")
		return KeptOut, nil
	case outcome.Load != nil:
		t.say("  kernel   refuses the loader: %s.", host.Errno(outcome.Load))
		t.say("  -> The attack fails: nothing was loaded.")
		return KernelRefused, nil
	case outcome.Retval != 0:
		t.say("  loader   looks at its map before anything else, and returns %s.", host.Errno(unix.Errno(-outcome.Retval)))
		t.say("  -> The attack fails: nothing was loaded.")
		return LoaderRefused, nil
	}
	// The descriptor stays the outcome's.
	fd, err := unix.Dup(outcome.FD(b.Programs[0].Ctx))
	if err != nil {
		return "", fmt.Errorf("the loader's program: %w", err)
	}
	p, err := ebpf.NewProgramFromFD(fd)
	if err != nil {
		return "", err
	}
	defer p.Close()
	ret, err := host.Run(p, nil)
	if err != nil {
		return "", err
	}
	t.say("  loader   compares map->sha with what it was signed with: they are equal. It loads the program.")
	t.say("  program  returns %d.", ret)
	if ret != victim.Allow {
		return "", fmt.Errorf("the loader loaded a program that returns %d", ret)
	}
	t.say("  -> The attack SUCCEEDS: allow. A program runs that nobody signed, and the kernel vouches for its loader.")
	return Fooled, nil
}

// sign is the signer's part.
func (t *Teller) sign(before bool) (*bundle.Bundle, error) {
	b, err := victim.Verdict(victim.NativeOrder())
	if err != nil {
		return nil, err
	}
	if before {
		if err := victim.BeforeTheFix(b); err != nil {
			return nil, err
		}
	}
	if t.Signer != nil {
		err = t.Signer.Sign(b, bundle.KindDevelopment)
	}
	return b, err
}

// target finds the instruction that the attacker changes, and makes the one that it wants.
func target(b *bundle.Bundle) (at int, old, evil []byte, err error) {
	at = int(b.Programs[0].Insns.Offset)
	old = bytes.Clone(b.Blob[at : at+insn.Size])
	want := insn.Append(nil, victim.NativeOrder(), victim.Return(victim.Deny))
	if !bytes.Equal(old, want) {
		return 0, nil, nil, fmt.Errorf("the program begins with % x, not % x", old, want)
	}
	return at, old, insn.Append(nil, victim.NativeOrder(), victim.Return(victim.Allow)), nil
}
