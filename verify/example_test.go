package verify_test

import (
	"fmt"
	"os"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/verify"
)

// A deployer checks a bundle before it is copied to hosts.
func ExamplePolicy_Check() {
	check := func() error {
		policy, err := verify.LoadPolicy("policy.json")
		if err != nil {
			return err
		}
		data, err := os.ReadFile("execsnoop.bpfl")
		if err != nil {
			return err
		}
		b, err := bundle.Decode(data)
		if err != nil {
			return err
		}
		_, err = policy.Check(b)
		return err
	}
	if err := check(); err != nil {
		fmt.Println("do not deploy:", err)
	}
	// Output: do not deploy: open policy.json: no such file or directory
}
