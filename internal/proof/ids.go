package proof

// ID names a kind of finding.
type ID string

// The kinds of findings. Those in notes are no reason not to sign.
const (
	// NoExclusivityCheck: a map-hash loader acts although the metadata map may not be exclusive to it, so that another
	// program may have changed it after it was hashed (CVE-2026-80675).
	NoExclusivityCheck ID = "no-exclusivity-check"
	// NoDigestCheck: a map-hash loader acts although the metadata map's digest, or a part of it, was not compared.
	NoDigestCheck ID = "no-digest-check"
	// WrongDigest: the digest in the instructions is not that of the blob.
	WrongDigest ID = "wrong-digest"
	// RefusalSucceeds: a loader that stops early does not return a negative 32-bit error number.
	RefusalSucceeds ID = "refusal-succeeds"
	// HostContext: what the host put into the context decides something, beyond where the verifier's log goes.
	HostContext ID = "host-context"
	// HostMemory: the loader reads, or has the kernel read, memory that the host chooses.
	HostMemory ID = "host-memory"
	// HostDescriptor: the kernel is given a descriptor that no call of this run returned.
	HostDescriptor ID = "host-descriptor"
	// OtherMap: the loader uses another map than the metadata map, which nothing ties to the signature.
	OtherMap ID = "other-map"
	// UnknownField: the loader reads something of struct bpf_map that is neither the digest nor the exclusivity.
	UnknownField ID = "unknown-field"
	// UnknownPointer: it cannot be said what an address points at.
	UnknownPointer ID = "unknown-pointer"
	// UnknownValue: it cannot be said which number the kernel is given, or a branch depends on.
	UnknownValue ID = "unknown-value"
	// UnknownHelper: a helper that no loader needs is called.
	UnknownHelper ID = "unknown-helper"
	// UnknownCommand: bpf(2) is called with a command that is not a constant or that no loader needs.
	UnknownCommand ID = "unknown-command"
	// UnknownAttribute: an attribute of bpf(2) has a field set that no loader needs.
	UnknownAttribute ID = "unknown-attribute"
	// UnknownScheme: nothing is known of the attestation scheme.
	UnknownScheme ID = "unknown-scheme"
	// IgnoredFailure: the loader may succeed although a call failed, or without having made it.
	IgnoredFailure ID = "ignored-failure"
	// LostDescriptor: a loader that succeeds leaves a descriptor open that the context does not show, shows one that is closed, or closes
	// one that is not its own.
	LostDescriptor ID = "lost-descriptor"
	// Malformed: the instructions are not a program: a jump lands where no instruction begins, a register is read before it is
	// written, an instruction is unreachable or unknown.
	Malformed ID = "malformed"
	// Loop: there is a loop.
	Loop ID = "loop"
	// NeverActs: no path leads to a call that does anything, or to success.
	NeverActs ID = "never-acts"
	// SecondRun: a second run finds what the first one left.
	SecondRun ID = "second-run"
	// UnverifiedClose (a note): a map-hash loader that refuses closes descriptors whose numbers come from contents that it
	// has just found to be wrong. They are the host's own.
	UnverifiedClose ID = "unverified-close"
	// StaleClose (a note): a loader that fails closes descriptors by numbers that an earlier run may have left. They are the host's own.
	StaleClose ID = "stale-close"
	// LeftOpen (a note): a loader that fails may leave a descriptor open. It is the host's to close, or ends with its process.
	LeftOpen ID = "left-open"
	// ClosedTwice (a note): a loader that fails may close a descriptor that it has closed before. The host may have another one of
	// that number.
	ClosedTwice ID = "closed-twice"
)

// notes are the kinds that do not change what a loader makes.
var notes = map[ID]bool{UnverifiedClose: true, StaleClose: true, LeftOpen: true, ClosedTwice: true}
