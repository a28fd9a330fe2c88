package uapi

// COREReloKind says what a CO-RE relocation asks for: enum bpf_core_relo_kind, include/uapi/linux/bpf.h.
type COREReloKind uint32

const (
	COREReloFieldByteOffset COREReloKind = iota
	COREReloFieldByteSize
	COREReloFieldExists
	COREReloFieldSigned
	COREReloFieldLeftShift
	COREReloFieldRightShift
	COREReloTypeIDLocal
	COREReloTypeIDTarget
	COREReloTypeExists
	COREReloTypeSize
	COREReloEnumValueExists
	COREReloEnumValue
	COREReloTypeMatches
)

var coreReloKindNames = [...]string{
	COREReloFieldByteOffset: "field_byte_offset",
	COREReloFieldByteSize:   "field_byte_size",
	COREReloFieldExists:     "field_exists",
	COREReloFieldSigned:     "field_signed",
	COREReloFieldLeftShift:  "field_lshift_u64",
	COREReloFieldRightShift: "field_rshift_u64",
	COREReloTypeIDLocal:     "type_id_local",
	COREReloTypeIDTarget:    "type_id_target",
	COREReloTypeExists:      "type_exists",
	COREReloTypeSize:        "type_size",
	COREReloEnumValueExists: "enumval_exists",
	COREReloEnumValue:       "enumval_value",
	COREReloTypeMatches:     "type_matches",
}

// String returns the kind's name, "field_exists", or "unknown(57)".
func (k COREReloKind) String() string { return nameOf(coreReloKindNames[:], uint32(k)) }
