//go:build linux

// Command packets prints how many packets of each protocol an interface receives.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/examples/packets/packets"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("packets: ")
	var (
		how      = options.New()
		iface    = flag.String("interface", "lo", "the network interface's `NAME`")
		duration = flag.Duration("for", 5*time.Second, "how long to count")
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
	if err := run(*iface, *duration, opts); err != nil {
		log.Fatal(err)
	}
}

// names are those of protocols that one meets; others have their number.
var names = map[uint32]string{1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP", 256: "not IP"}

func run(iface string, duration time.Duration, opts []runtime.Option) error {
	objs, err := packets.Load(context.Background(), opts...)
	if err != nil {
		return err
	}
	defer objs.Close()

	links, err := objs.AttachAll(runtime.ToInterface(iface))
	if err != nil {
		return err
	}
	fmt.Printf("counting on %s for %v\n", iface, duration)
	time.Sleep(duration)
	if err := links.Close(); err != nil {
		return err
	}

	fmt.Printf("%-10s %-10s %s\n", "PROTOCOL", "PACKETS", "BYTES")
	var (
		protocol uint32
		cpus     []packets.Traffic // one of each CPU
	)
	all := objs.Protocols.Iterate()
	for all.Next(&protocol, &cpus) {
		var sum packets.Traffic
		for _, cpu := range cpus {
			sum.Packets += cpu.Packets
			sum.Bytes += cpu.Bytes
		}
		if sum.Packets == 0 {
			continue
		}
		name := names[protocol]
		if name == "" {
			name = fmt.Sprint(protocol)
		}
		fmt.Printf("%-10s %-10d %d\n", name, sum.Packets, sum.Bytes)
	}
	return all.Err()
}
