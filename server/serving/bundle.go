package serving

import (
	"bytes"
	"encoding/pem"
	"sync"

	certutil "k8s.io/client-go/util/cert"
)

// Bundle holds the certificates by which clients verify the server. The zero value is empty and ready. It is safe for many
// goroutines.
type Bundle struct {
	lock     sync.Mutex
	content  []byte
	outdated chan struct{}
}

// Watch returns the bundle, PEM, which nobody may change, and a channel that is closed when it is no longer the current one.
func (b *Bundle) Watch() ([]byte, <-chan struct{}) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.outdated == nil {
		b.outdated = make(chan struct{})
	}
	return b.content, b.outdated
}

// set replaces the bundle.
func (b *Bundle) set(content []byte) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if bytes.Equal(b.content, content) {
		return
	}
	b.content = content
	if b.outdated != nil {
		close(b.outdated)
		b.outdated = nil
	}
}

// certificatesIn returns the certificates in content, PEM, and drops all else: a key may be in the same file.
func certificatesIn(content []byte) []byte {
	var out bytes.Buffer
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return out.Bytes()
		}
		if block.Type == certutil.CertificateBlockType {
			// What stands beside the certificate is of no use to anybody.
			_ = pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // to memory
		}
	}
}
