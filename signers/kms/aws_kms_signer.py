#!/usr/bin/env python3
"""A signer (docs/signer-protocol.md) whose key is in AWS KMS, over the `aws` command line.

    signtool sign -signer signers/kms/aws_kms_signer.py -signer-key alias/bpf-release -cert release.der -in IN -out OUT

Credentials are the environment's: AWS_PROFILE, AWS_ROLE_ARN and so on; AWS_CLI is the program, if it is not `aws`. The
key's usage is SIGN_VERIFY, its spec RSA_2048 to RSA_4096, ECC_NIST_P256 or ECC_NIST_P384.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

# PKCS#1 v1.5 by name: a default would be RSA-PSS with some services, which the kernel cannot verify.
ALGORITHMS = {"rsa-pkcs1v15": "RSASSA_PKCS1_V1_5_SHA_", "ecdsa": "ECDSA_SHA_"}


def sign(request):
    if request["version"] != 1 or request["operation"] != "sign":
        raise ValueError("this signer knows version 1 of the protocol and signs")
    with tempfile.NamedTemporaryFile() as digest:
        digest.write(base64.b64decode(request["digest"]))
        digest.flush()
        aws = [os.environ.get("AWS_CLI", "aws"), "kms", "sign", "--key-id", request["key"], "--message-type", "DIGEST",
               "--message", "fileb://" + digest.name, "--output", "text", "--query", "Signature",
               "--signing-algorithm", ALGORITHMS[request["algorithm"]] + request["hash"].removeprefix("sha")]
        return subprocess.run(aws, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


try:
    json.dump({"version": 1, "signature": sign(json.load(sys.stdin))}, sys.stdout)
except (subprocess.CalledProcessError, OSError, ValueError, KeyError) as e:
    json.dump({"version": 1, "error": str(e) or repr(e)}, sys.stdout)
    sys.exit(1)
