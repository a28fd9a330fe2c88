package uapi

// tracingKinds are what sections of object files call programs of type tracing.
var tracingKinds = map[AttachType]string{
	AttachTraceRawTP: "tp_btf", AttachTraceFentry: "fentry", AttachTraceFexit: "fexit",
	AttachModifyReturn: "fmod_ret", AttachTraceIter: "iter", AttachTraceFsession: "fsession",
}

// ProgKind returns what kind of program has a type and an expected attach type, as sections of object files spell it where they
// do: "fentry", "lsm", "xdp". The attach type of a struct_ops program is the number of its member, and not part of the kind.
func ProgKind(t ProgType, attach AttachType) string {
	switch {
	case t == ProgTypeStructOps:
		return t.String()
	case t == ProgTypeTracing && tracingKinds[attach] != "":
		return tracingKinds[attach]
	case t == ProgTypeLSM && attach == AttachLSMMAC, attach == 0, t.String() == attach.String():
		return t.String()
	}
	return t.String() + "/" + attach.String()
}
