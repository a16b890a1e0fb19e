package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newKey writes a private key to a file.
func newKey(t *testing.T, kind string) string {
	t.Helper()
	var (
		key any
		err error
	)
	switch kind {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "PRIVATE KEY", der)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verify checks a signature as somebody does who knows the key only.
func verify(t *testing.T, public crypto.PublicKey, message, signature []byte) bool {
	t.Helper()
	switch public := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, message, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(public, digest[:], signature)
	}
	t.Fatalf("the key is a %T", public)
	return false
}

func TestSigning_ChecksumsAndProvenance(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa"} {
		t.Run(kind, func(t *testing.T) {
			o := testOptions(t)
			o.key = newKey(t, kind)
			files, told := written(t, o)
			block, _ := pem.Decode(files["release.pub"])
			if block == nil {
				t.Fatal("release.pub is not in PEM format")
			}
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if !verify(t, public, files["SHA256SUMS"], files["SHA256SUMS.sig"]) {
				t.Error("the signature of the checksums is wrong")
			}
			if verify(t, public, append(files["SHA256SUMS"], '\n'), files["SHA256SUMS.sig"]) {
				t.Error("the signature is right for other checksums")
			}
			var e envelope
			if err := json.Unmarshal(files["provenance.dsse.json"], &e); err != nil {
				t.Fatal(err)
			}
			payload, err := base64.StdEncoding.DecodeString(e.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if string(payload) != string(files["provenance.json"]) || e.PayloadType != "application/vnd.in-toto+json" || len(e.Signatures) != 1 {
				t.Fatalf("the envelope is %+v", e)
			}
			signature, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
			if err != nil {
				t.Fatal(err)
			}
			if !verify(t, public, preAuthentication(payload), signature) {
				t.Error("the signature of the provenance is wrong")
			}
			if !strings.Contains(told, e.Signatures[0].KeyID) || !strings.Contains(string(files["INSTALL.md"]), e.Signatures[0].KeyID) {
				t.Errorf("nobody is told of key %s: %s", e.Signatures[0].KeyID, told)
			}
		})
	}
}

// The example of the specification.
func TestSigning_PreAuthentication(t *testing.T) {
	if got, want := string(preAuthentication([]byte("hello world"))), "DSSEv1 28 application/vnd.in-toto+json 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadKey_Refusals(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, want string }{
		"text":               {text, "not in PEM format"},
		"RSA":                {newKey(t, "rsa"), "want an Ed25519 or ECDSA P-256 key"},
		"another curve":      {newKey(t, "P-384"), "curve P-384"},
		"with a password":    {writePEM(t, "ENCRYPTED PRIVATE KEY", []byte("secret")), "without a password"},
		"a certificate":      {writePEM(t, "CERTIFICATE", []byte("public")), `not "CERTIFICATE"`},
		"half a private key": {writePEM(t, "PRIVATE KEY", []byte("half")), "asn1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readKey(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
