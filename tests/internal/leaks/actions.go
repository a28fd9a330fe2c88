package leaks

import (
	"encoding/json"
	"errors"
	"io"
	"os"
)

// Action is what Bazel's execution log says of one action (src/main/protobuf/spawn.proto).
type Action struct {
	Mnemonic, TargetLabel, Runner        string
	Inputs                               []struct{ Path string }
	CacheHit, RemoteCacheable, Remotable bool
}

// Actions reads an execution log, which --execution_log_json_file writes.
func Actions(path string) (list []Action, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; {
		var a Action
		switch err := dec.Decode(&a); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, err
		}
		list = append(list, a)
	}
}
