package report

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// sample compiles the sample of simkernel's tests and signs it.
func sample(t *testing.T) (*bundle.Bundle, *x509.Certificate) {
	t.Helper()
	path := filepath.Join("../../../internal/simkernel/testdata", "sample-bpfel.o")
	raw, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(path, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	qt.Assert(t, qt.IsNil(err))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "BPF release key"}, SubjectKeyId: []byte("0123456789abcdefghij"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	qt.Assert(t, qt.IsNil(err))
	cert, err := x509.ParseCertificate(der)
	qt.Assert(t, qt.IsNil(err))
	id := &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
	qt.Assert(t, qt.IsNil(id.Sign(b, bundle.KindProduction)))
	return b, cert
}

func html(t *testing.T, b *bundle.Bundle, o Options) string {
	t.Helper()
	var out strings.Builder
	qt.Assert(t, qt.IsNil(HTML(&out, b, o)))
	return out.String()
}

func TestHTML(t *testing.T) {
	b, cert := sample(t)
	text := html(t, b, Options{Signers: []*x509.Certificate{cert}})
	for _, want := range []string{
		"<h1>sample-bpfel.o</h1>", "The audit holds", "sched_process_exec", "bpf_task_from_pid", "holds, by BPF release key",
		"MAP_CREATE ringbuf &#34;events&#34;", "frozen: user space cannot change it", "map-hash", "payload", "the descriptors of what it made",
	} {
		qt.Check(t, qt.StringContains(text, want))
	}
	for _, outside := range []string{"http://", "https://", "src=", "url(", "@import", "<script"} {
		qt.Check(t, qt.IsFalse(strings.Contains(text, outside)), qt.Commentf("%s", outside))
	}
	qt.Check(t, qt.StringContains(html(t, b, Options{}), "not checked: no certificate given"))

	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	text = html(t, b, Options{Signers: []*x509.Certificate{cert}})
	qt.Check(t, qt.StringContains(text, "extended key usage"))
	qt.Check(t, qt.IsFalse(strings.Contains(text, "holds, by")))
}

// What an approver must not miss is red, and at the top of the page.
func TestWarnings(t *testing.T) {
	b, _ := sample(t)
	text := html(t, b, Options{})
	qt.Check(t, qt.IsFalse(strings.Contains(text, `id="development"`)))
	qt.Check(t, qt.IsFalse(strings.Contains(text, `id="warnings"`)))

	for i := range b.Loaders {
		b.Loaders[i].Signatures[0].Kind = bundle.KindDevelopment
	}
	// The program's first instruction becomes a call that the sample does not make.
	p := &b.Programs[0]
	insn.Put(b.Blob[p.Insns.Offset:], binary.LittleEndian, insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperProbeWriteUser)})
	text = html(t, b, Options{})
	qt.Check(t, qt.StringContains(text, `<p class="verdict bad" id="development">Signed with a development key: not for production</p>`))
	qt.Check(t, qt.Equals(strings.Count(text, `<strong class="bad">DEVELOPMENT</strong>`), 2))
	warning := strings.Index(text, `<li class="acts"><strong>bpf_probe_write_user</strong> <span class="dim">called by program `+p.Name+`</span><br>It writes to the memory of processes.</li>`)
	qt.Check(t, qt.IsTrue(warning > 0 && warning < strings.Index(text, "<h2>Programs")))
	qt.Check(t, qt.StringContains(text, `<code class="tag acts" title="writes to the memory of processes">bpf_probe_write_user</code>`))
}

func TestBad(t *testing.T) {
	b, cert := sample(t)
	b.Blob[len(b.Blob)-9] ^= 1
	b.Object.Name = `<script>alert("x")`
	qt.Assert(t, qt.IsNil(b.Seal()))
	text := html(t, b, Options{Signers: []*x509.Certificate{cert}})
	qt.Check(t, qt.StringContains(text, "The audit fails: do not sign this"))
	qt.Check(t, qt.StringContains(text, "wrong-digest"))
	qt.Check(t, qt.StringContains(text, `class="bad"`))
	qt.Check(t, qt.IsFalse(strings.Contains(text, "<script")))
}

// TestBrowser looks at the page as a browser lays it out.
func TestBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	b, cert := sample(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	// The page tells of itself what a reader would see.
	probe := `<script>
const q = s => [...document.querySelectorAll(s)];
const lines = [
	"verdict " + getComputedStyle(document.querySelector("#verdict")).display,
	"programs " + (q("#programs tr").length - 1),
	"maps " + (q("#maps tr").length - 1),
	"loaders " + q("#loaders section").length,
	"messages " + q("#sequence .msg").length,
	"rows in order " + q("#sequence .msg").every((m, i, all) => i == 0 || m.getBoundingClientRect().top >= all[i - 1].getBoundingClientRect().top),
	"page too wide " + (document.documentElement.scrollWidth > innerWidth),
];
document.title = lines.join("; ");
</script></html>`
	text := strings.Replace(html(t, b, Options{Signers: []*x509.Certificate{cert}}), "</html>", probe, 1)
	qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte(text), 0o644)))
	for _, width := range []string{"1200", "600"} {
		args := []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir=" + filepath.Join(dir, "profile"+width),
			"--window-size=" + width + ",900", "--dump-dom", "file://" + file,
		}
		if shot := os.Getenv("REPORT_SCREENSHOT"); shot != "" && width == "1200" {
			args = append(args[:len(args)-2], "--window-size=1200,2600", "--hide-scrollbars", "--screenshot="+shot, "file://"+file)
			out, err := exec.Command(browser, args...).CombinedOutput()
			qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
			continue
		}
		out, err := exec.Command(browser, args...).Output()
		qt.Assert(t, qt.IsNil(err))
		_, title, _ := strings.Cut(string(out), "<title>")
		title, _, _ = strings.Cut(title, "</title>")
		qt.Check(t, qt.Equals(title, "verdict inline-block; programs 2; maps 7; loaders 2; messages 36; rows in order true; page too wide false"),
			qt.Commentf("at a width of %s", width))
	}
}
