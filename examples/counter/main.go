//go:build linux

// Command counter prints how often the host's processes made each system call.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"

	"github.com/rules-bpf/rules_bpf/examples/counter/counter"
	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("counter: ")
	var (
		how      = options.New()
		duration = flag.Duration("for", time.Second, "how long to count")
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
	if err := run(*duration, opts); err != nil {
		log.Fatal(err)
	}
}

func run(duration time.Duration, opts []runtime.Option) error {
	objs, err := counter.Load(context.Background(), opts...)
	if err != nil {
		return err
	}
	defer objs.Close()

	links, err := objs.AttachAll()
	if err != nil {
		return err
	}
	time.Sleep(duration)
	if err := links.Close(); err != nil {
		return err
	}

	var (
		number uint32
		call   counter.Call
		calls  = map[uint32]counter.Call{}
	)
	for i := objs.Calls.Iterate(); i.Next(&number, &call); {
		if call.Count > 0 {
			calls[number] = call
		}
	}
	numbers := make([]uint32, 0, len(calls))
	for number := range calls {
		numbers = append(numbers, number)
	}
	slices.SortFunc(numbers, func(a, b uint32) int { return cmp.Compare(calls[b].Count, calls[a].Count) })

	fmt.Printf("%-8s %-12s %s\n", "CALL", "COUNT", "LAST PID")
	for _, n := range numbers {
		fmt.Printf("%-8d %-12d %d\n", n, calls[n].Count, calls[n].LastPid)
	}
	lowest, err := objs.Variables.Lowest.Get()
	if err != nil {
		return err
	}
	fmt.Printf("lowest number: %d\n", lowest)
	return nil
}
