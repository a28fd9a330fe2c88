package bpftool

import (
	"testing"

	"github.com/go-quicktest/qt"
)

const header = `
struct x {
	struct bpf_loader_ctx ctx;
	struct {
		struct bpf_map_desc events;
		struct bpf_map_desc bss;
	} maps;
	struct {
		struct bpf_prog_desc on_exec;
	} progs;
};

static inline int
x__load(struct x *skel)
{
	static const char opts_data[] __attribute__((__aligned__(8))) = "\
\0\x9f\
\x0a";
	static const char opts_insn[] __attribute__((__aligned__(8))) = "\
\xbf\x16";
	static const char opts_sig[] __attribute__((__aligned__(8))) = "\
\x30";
}
`

func TestParse(t *testing.T) {
	s, err := Parse([]byte(header))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(s, &Skeleton{
		Insns: []byte{0xbf, 0x16}, Blob: []byte{0, 0x9f, 0x0a}, Signature: []byte{0x30},
		Maps: []string{"events", "bss"}, Programs: []string{"on_exec"}, CtxSize: 24 + 2*16 + 4,
	}))
	_, err = Parse([]byte("int main(void) {}"))
	qt.Check(t, qt.ErrorMatches(err, "no light skeleton: .*"))
	_, err = Parse([]byte(`static const char opts_data[] = "\n"`))
	qt.Check(t, qt.ErrorMatches(err, `opts_data: unknown escape "n"`))
	_, err = Parse([]byte(`static const char opts_data[] = "\xzz"`))
	qt.Check(t, qt.ErrorMatches(err, `opts_data: .* invalid syntax`))
}

func TestName(t *testing.T) {
	qt.Check(t, qt.Equals(name("/tmp/exec-snoop.bpf.o"), "exec_snoop"))
}

func TestGenerate(t *testing.T) {
	for _, tool := range ForTest(t) {
		_, err := tool.Generate("no such file", t.TempDir(), true)
		qt.Check(t, qt.ErrorIs(err, ErrRefused))
	}
}
