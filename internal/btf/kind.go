package btf

import "fmt"

// kernelKindNames are the names of BTF_KIND_* in lower case (include/uapi/linux/btf.h).
var kernelKindNames = [maxKind]string{
	Void: "void", Int: "int", Ptr: "ptr", Array: "array", Struct: "struct", Union: "union", Enum: "enum", Fwd: "fwd",
	Typedef: "typedef", Volatile: "volatile", Const: "const", Restrict: "restrict", Func: "func", FuncProto: "func_proto",
	Var: "var", DataSec: "datasec", Float: "float", DeclTag: "decl_tag", TypeTag: "type_tag", Enum64: "enum64",
}

// KernelName returns the name that the kernel's header has for the kind, "func_proto", or "unknown(57)". String is for
// sentences.
func (k Kind) KernelName() string {
	if k < maxKind {
		return kernelKindNames[k]
	}
	return fmt.Sprintf("unknown(%d)", uint8(k))
}
