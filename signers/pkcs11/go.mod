module github.com/rules-bpf/rules_bpf/signers/pkcs11

go 1.26.0

require (
	github.com/go-quicktest/qt v1.102.0
	github.com/miekg/pkcs11 v1.1.2
)

require (
	github.com/google/go-cmp v0.6.0 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/rogpeppe/go-internal v1.12.0 // indirect
)
