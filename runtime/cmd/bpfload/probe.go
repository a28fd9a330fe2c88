//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/runtime"
)

// printProbe prints what the kernel can do. The exit code is 1 if no bundle can load, neither signed nor unsigned.
func printProbe(f *runtime.Features, asJSON bool, stdout, stderr io.Writer) int {
	if asJSON {
		if err := printJSON(stdout, newFeatures(f)); err != nil {
			return fail(stderr, err)
		}
	} else {
		fmt.Fprint(stdout, f)
	}
	if f.CanLoadSigned() != nil && f.CanLoadUnsigned() != nil {
		return 1
	}
	return 0
}

func printJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printable.JSON(data), '\n'))
	return err
}

// features is runtime.Features for programs to read. Answers are "yes", "no" or "unknown".
type features struct {
	Signed               loads          `json:"signed"`
	Unsigned             loads          `json:"unsigned"`
	Loaders              string         `json:"loaders"`
	CORE                 string         `json:"core"`
	BTF                  bool           `json:"btf"`
	BTFError             string         `json:"btf_error,omitempty"`
	ExclusiveMaps        string         `json:"exclusive_maps"`
	Scheme               string         `json:"scheme,omitempty"`
	Signatures           string         `json:"signatures"`
	Keyrings             []keyringState `json:"keyrings"`
	Lockdown             string         `json:"lockdown,omitempty"`
	MissingCapabilities  []string       `json:"missing_capabilities"`
	InitialUserNamespace bool           `json:"initial_user_namespace"`
}

// loads says whether bundles load, and if not, why.
type loads struct {
	Loads  bool   `json:"loads"`
	Reason string `json:"reason,omitempty"`
}

type keyringState struct {
	Name   string `json:"name"`
	Exists string `json:"exists"`
	// Keys is left out where it is unknown.
	Keys *int `json:"keys,omitempty"`
}

func newFeatures(f *runtime.Features) *features {
	j := &features{
		Signed: newLoads(f.CanLoadSigned()), Unsigned: newLoads(f.CanLoadUnsigned()),
		Loaders: f.Loaders.String(), CORE: f.CORE.String(), BTF: f.BTFError == nil,
		ExclusiveMaps: f.ExclusiveMaps.String(), Signatures: f.Signatures.String(),
		Lockdown: f.Lockdown, InitialUserNamespace: f.InitialUserNamespace,
		Keyrings: []keyringState{}, MissingCapabilities: append([]string{}, f.MissingCapabilities...),
	}
	if f.BTFError != nil {
		j.BTFError = f.BTFError.Error()
	}
	if f.Scheme != 0 {
		j.Scheme = f.Scheme.String()
	}
	for _, k := range f.Keyrings {
		state := keyringState{Name: k.ID.String(), Exists: k.Exists.String()}
		if k.Keys >= 0 {
			state.Keys = &k.Keys
		}
		j.Keyrings = append(j.Keyrings, state)
	}
	return j
}

func newLoads(err error) loads {
	if err != nil {
		return loads{Reason: err.Error()}
	}
	return loads{Loads: true}
}
