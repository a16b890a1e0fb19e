package tokens

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/util/keyutil"
)

const (
	day = 24 * time.Hour

	// keyBits is the size of a key, which is RSA because not everybody who checks tokens knows elliptic curves.
	keyBits = 2048
	// renewKey is the age of the newest key at which another one is made. Old keys still verify: some tokens never expire.
	renewKey = 365 * day
	// publishKey is how long a new key is published before it signs, for those who keep a copy of the published keys.
	publishKey = day

	// A key is stored under the time when it was made.
	keySuffix  = ".key"
	keyPattern = "20060102T150405Z"
)

// key is a signing key.
type key struct {
	id      string // from the public key
	made    time.Time
	private *rsa.PrivateKey
}

// keys are the known keys, oldest first.
type keys []key

// parseKeys reads the data of the Secret.
func parseKeys(data map[string][]byte) (keys, error) {
	var all keys
	for _, name := range slices.Sorted(maps.Keys(data)) {
		made, err := time.Parse(keyPattern, strings.TrimSuffix(name, keySuffix))
		if err != nil || !strings.HasSuffix(name, keySuffix) {
			return nil, fmt.Errorf("%q is not the name of a key, such as %s", name, keyPattern+keySuffix)
		}
		decoded, err := keyutil.ParsePrivateKeyPEM(data[name])
		if err != nil {
			return nil, fmt.Errorf("%q cannot be read", name) // the error might contain parts of the key
		}
		private, ok := decoded.(*rsa.PrivateKey)
		if !ok || private.N.BitLen() < keyBits {
			return nil, fmt.Errorf("%q is not an RSA key of at least %d bits", name, keyBits)
		}
		id, err := idOf(&private.PublicKey)
		if err != nil {
			return nil, err
		}
		all = append(all, key{id: id, made: made, private: private})
	}
	return all, nil
}

// newKey returns a new key in PEM format.
func newKey() ([]byte, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	encoded, err := keyutil.MarshalPrivateKeyToPEM(private)
	if err != nil {
		return nil, errors.New("encoding a key failed") // the error might contain parts of the key
	}
	return encoded, nil
}

// idOf returns the ID that tokens and published keys name a key by, which is the one that kube-apiserver uses.
func idOf(public *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encoding a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// due reports whether a new key must be made.
func (ks keys) due(now time.Time) bool {
	return len(ks) == 0 || !now.Before(ks[len(ks)-1].made.Add(renewKey))
}

// signer returns the key that signs now: the newest one that has been published for long enough, or else the oldest; nil if there is none.
func (ks keys) signer(now time.Time) *key {
	for i := range slices.Backward(ks) {
		if !now.Before(ks[i].made.Add(publishKey)) {
			return &ks[i]
		}
	}
	if len(ks) == 0 {
		return nil
	}
	return &ks[0]
}

// find returns the key called id; nil if there is none.
func (ks keys) find(id string) *key {
	for i := range ks {
		if ks[i].id == id {
			return &ks[i]
		}
	}
	return nil
}
