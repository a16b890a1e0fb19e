package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

const (
	signatureFile = checksumsFile + ".sig"
	envelopeFile  = "provenance.dsse.json"
	publicKeyFile = "release.pub"
	payloadType   = "application/vnd.in-toto+json"
)

// signingKey signs a release.
type signingKey struct {
	signer    crypto.Signer
	algorithm string // Ed25519 or ECDSA
	public    []byte // PEM
	id        string // hex of the SHA-256 of the public key in DER
}

// readKey reads a private key in PEM format; nil if there is no file to read.
func readKey(path string) (*signingKey, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	key, err := parseKey(content)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key in %s: %w", path, err)
	}
	return key, nil
}

func parseKey(content []byte) (*signingKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("it is not in PEM format")
	}
	var (
		private any
		err     error
	)
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("want a private key without a password in PKCS #8, not %q", block.Type)
	}
	if err != nil {
		return nil, err
	}
	k := &signingKey{}
	switch private := private.(type) {
	case ed25519.PrivateKey:
		k.signer, k.algorithm = private, "Ed25519"
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return nil, fmt.Errorf("it is an ECDSA key of the curve %s, want P-256", private.Params().Name)
		}
		k.signer, k.algorithm = private, "ECDSA"
	default:
		return nil, errors.New("want an Ed25519 or ECDSA P-256 key")
	}
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return nil, err
	}
	k.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	k.id = fmt.Sprintf("%x", sha256.Sum256(der))
	return k, nil
}

// sign signs a message. Without a random source, ECDSA signs the same way each time (RFC 6979).
func (k *signingKey) sign(message []byte) ([]byte, error) {
	if k.algorithm == "Ed25519" {
		return k.signer.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return k.signer.Sign(nil, digest[:], crypto.SHA256)
}

// envelope is DSSE, in which what is signed travels with its signature.
type (
	envelope struct {
		PayloadType string      `json:"payloadType"`
		Payload     string      `json:"payload"` // base64
		Signatures  []signature `json:"signatures"`
	}
	signature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"` // base64
	}
)

// preAuthentication is what DSSE signs: the type and the payload, each with its length, so that neither passes for a part of the other.
func preAuthentication(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// sign writes the signatures of the checksums and of the provenance, unless there is no key.
func (r *release) sign(key *signingKey, sums, statement []byte) error {
	if key == nil {
		return nil
	}
	signed, err := key.sign(sums)
	if err != nil {
		return err
	}
	sealed, err := key.sign(preAuthentication(statement))
	if err != nil {
		return err
	}
	e, err := json.Marshal(envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(statement),
		Signatures: []signature{{KeyID: key.id, Sig: base64.StdEncoding.EncodeToString(sealed)}},
	})
	if err != nil {
		return err
	}
	return errors.Join(
		r.addContent(signatureFile, "the signature of "+checksumsFile, signed),
		r.addContent(envelopeFile, "the provenance, signed, as a DSSE envelope", append(e, '\n')),
		r.addContent(publicKeyFile, "the public key", key.public))
}
