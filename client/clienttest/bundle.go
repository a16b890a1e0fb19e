package clienttest

import "sync"

// Bundle stands for certificates that change.
type Bundle struct {
	lock     sync.Mutex
	pem      string
	outdated chan struct{}
}

// NewBundle returns a Bundle of pem.
func NewBundle(pem string) *Bundle { return &Bundle{pem: pem, outdated: make(chan struct{})} }

// Watch returns the certificates, and a channel that is closed when they change.
func (b *Bundle) Watch() ([]byte, <-chan struct{}) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return []byte(b.pem), b.outdated
}

// Set changes the certificates.
func (b *Bundle) Set(pem string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	close(b.outdated)
	b.pem, b.outdated = pem, make(chan struct{})
}
