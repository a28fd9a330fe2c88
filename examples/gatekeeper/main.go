//go:build linux

// Command gatekeeper keeps the host from loading BPF programs that no trusted key has signed.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/examples/gatekeeper/gatekeeper"
	"github.com/rules-bpf/rules_bpf/examples/internal/lsm"
	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gatekeeper: ")
	var (
		how   = options.New()
		trust = flag.String("trust", "builtin,secondary", "let in what the keys of these `KEYRINGS` signed: builtin, secondary, platform, and one serial number")
		audit = flag.Bool("audit", false, "let in everything, and tell what would be refused")
		pin   = flag.String("pin", "", "stay in force when this process ends, by a link at `PATH` on a bpf filesystem")
	)
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	opts, err := how.Load()
	if err != nil {
		log.Fatal(err)
	}
	policy, err := parsePolicy(*trust)
	if err != nil {
		log.Fatal(err)
	}
	if !*audit {
		policy.Enforce = 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, policy, *pin, opts); err != nil {
		log.Fatal(err)
	}
}

// parsePolicy reads the list of keyrings that are trusted.
func parsePolicy(trust string) (policy gatekeeper.Policy, err error) {
	types := map[runtime.KeyringID]gatekeeper.Keyring{
		runtime.KeyringBuiltin:   gatekeeper.KeyringBUILTIN,
		runtime.KeyringSecondary: gatekeeper.KeyringSECONDARY,
		runtime.KeyringPlatform:  gatekeeper.KeyringPLATFORM,
	}
	for name := range strings.SplitSeq(trust, ",") {
		id, err := runtime.ParseKeyring(name)
		if err != nil {
			return policy, err
		}
		typ, system := types[id]
		switch {
		case system:
			policy.Keyrings |= 1 << typ
		case id < 0:
			return policy, fmt.Errorf("keyring %v is another one for each process: name a serial number, as `keyctl show` prints it", id)
		case policy.Serial != 0:
			return policy, fmt.Errorf("keyrings %d and %v: only one serial number can be trusted", policy.Serial, id)
		default:
			policy.Serial = int32(id)
		}
	}
	return policy, nil
}

func run(ctx context.Context, policy gatekeeper.Policy, pin string, opts []runtime.Option) error {
	if err := lsm.Check(); err != nil {
		return err
	}
	objs, err := gatekeeper.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer objs.Close()

	// Once it is frozen, nobody changes the policy, not even root.
	if err := objs.Policies.Put(uint32(0), policy); err != nil {
		return err
	}
	if err := objs.Policies.Freeze(); err != nil {
		return err
	}
	refusals, err := ringbuf.NewReader(objs.Refusals)
	if err != nil {
		return err
	}
	defer refusals.Close()
	context.AfterFunc(ctx, func() { refusals.Close() })

	links, err := objs.AttachAll()
	if err != nil {
		return err
	}
	defer links.Close()
	if pin != "" {
		if err := links.Link("on_prog_load").Pin(pin); err != nil {
			return fmt.Errorf("pin to %s: %w", pin, err)
		}
	}
	fmt.Println("guarding; interrupt to end")
	if err := print(refusals, policy.Enforce == 1); err != nil {
		return err
	}
	untold, err := objs.Variables.Untold.Get()
	if err == nil && untold > 0 {
		fmt.Printf("and %d more, which came too fast to be told\n", untold)
	}
	return err
}

// print tells of refusals until the reader is closed.
func print(refusals *ringbuf.Reader, enforced bool) error {
	verb := "would refuse"
	if enforced {
		verb = "refused"
	}
	for {
		record, err := refusals.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		var r gatekeeper.Refusal
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &r); err != nil {
			return fmt.Errorf("a record of %d bytes: %w", len(record.RawSample), err)
		}
		why := "unsigned"
		switch r.Keyring {
		case gatekeeper.KeyringNONE:
		case gatekeeper.KeyringUSER:
			why = fmt.Sprintf("signed by a key of keyring %d", r.Serial)
		default:
			why = fmt.Sprintf("signed by a key of keyring %v", runtime.KeyringID(r.Keyring-1))
		}
		fmt.Printf("%s %v program %q of process %d (%s): %s\n", verb, ebpf.ProgramType(r.Type), text(r.Name[:]), r.Pid, text(r.Comm[:]), why)
	}
}

// text returns a C string.
func text(chars []int8) string {
	b := make([]byte, len(chars))
	for i, c := range chars {
		b[i] = byte(c)
	}
	return unix.ByteSliceToString(b)
}
