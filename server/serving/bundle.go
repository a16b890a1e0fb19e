package serving

import (
	"bytes"
	"encoding/pem"
	"sync"

	certutil "k8s.io/client-go/util/cert"
)

// Bundle contains the certificates that clients verify the server with. The zero value is empty and ready to use. It is safe for many
// goroutines.
type Bundle struct {
	lock     sync.Mutex
	content  []byte
	outdated chan struct{}
}

// Watch returns the bundle in PEM format, and a channel that is closed when the bundle changes. The caller must not modify the
// bundle.
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

// certificatesIn returns the certificates in content, in PEM format, and drops everything else, because the file may also contain a
// key.
func certificatesIn(content []byte) []byte {
	var out bytes.Buffer
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return out.Bytes()
		}
		if block.Type == certutil.CertificateBlockType {
			// Drop the headers of the PEM block; nobody needs them.
			_ = pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // to memory
		}
	}
}
