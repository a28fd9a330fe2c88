package btf

import "fmt"

// kindNames are BTF_KIND_* in lower case.
var kindNames = [...]string{
	Void: "void", Int: "int", Ptr: "ptr", Array: "array", Struct: "struct", Union: "union", Enum: "enum", Fwd: "fwd",
	Typedef: "typedef", Volatile: "volatile", Const: "const", Restrict: "restrict", Func: "func", FuncProto: "func_proto",
	Var: "var", DataSec: "datasec", Float: "float", DeclTag: "decl_tag", TypeTag: "type_tag", Enum64: "enum64",
}

// String returns the kind's name, "func_proto", or "unknown(57)".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("unknown(%d)", uint8(k))
}
