package encryption

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/storage/value"
)

// ErrSealed is what errors wrap that say that no key opens a value.
var ErrSealed = errors.New("no key of the encryption configuration decrypts it")

// notice begins what stands for a sealed value in a watch cache; the reason follows. No object begins so.
var notice = []byte("\x00sealed\x00")

const (
	// samples is how many sealed values are kept to be tried again, and sampleBytes how large they may be.
	samples, sampleBytes = 16, 64 << 10
)

// IsTemporary reports whether an error of a transformer says that a key cannot be had now, and not that it opens nothing.
func IsTemporary(err error) bool {
	var all utilerrors.Aggregate
	if errors.As(err, &all) {
		return slices.ContainsFunc(all.Errors(), IsTemporary)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var remote interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &remote) {
		return false
	}
	switch remote.GRPCStatus().Code() {
	case codes.InvalidArgument, codes.NotFound, codes.OutOfRange, codes.DataLoss:
		return false
	default: // plugins answer with Unknown if they cannot reach what has the keys
		return true
	}
}

// OpenOrNotice returns the value of an object of a resource for a watch cache: a notice if no key opens it. It fails only if that is
// temporary.
func (e *Encryption) OpenOrNotice(ctx context.Context, gr schema.GroupResource, data []byte, dataCtx value.Context) ([]byte, error) {
	opened, _, err := e.Of(gr).TransformFromStorage(ctx, data, dataCtx)
	switch {
	case err == nil:
		return opened, nil
	case IsTemporary(err):
		return nil, err
	}
	if e != nil {
		e.sealed.add(sample{gr, data, dataCtx})
	}
	return append(bytes.Clone(notice), err.Error()...), nil
}

// Sealed returns an error that wraps ErrSealed if data is the notice of a sealed value.
func Sealed(data []byte) error {
	reason, ok := bytes.CutPrefix(data, notice)
	if !ok {
		return nil
	}
	return &sealedError{string(reason)}
}

type sealedError struct{ reason string }

// Error implements error.
func (s *sealedError) Error() string { return ErrSealed.Error() + ": " + s.reason }

// Unwrap returns ErrSealed.
func (s *sealedError) Unwrap() error { return ErrSealed }

// sample is a sealed value.
type sample struct {
	resource schema.GroupResource
	data     []byte
	dataCtx  value.Context
}

// sealed are some sealed values that watch caches have taken in as notices.
type sealed struct {
	lock sync.Mutex
	of   []sample
}

func (s *sealed) add(one sample) {
	if len(one.data) > sampleBytes {
		return
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.of) == samples {
		s.of = s.of[1:]
	}
	one.data = bytes.Clone(one.data)
	s.of = append(s.of, one)
}

// Heal reports whether values can be opened that could not when watch caches took them in: whoever holds notices has to read again. It
// then forgets them.
func (e *Encryption) Heal(ctx context.Context) bool {
	if e == nil {
		return false
	}
	e.sealed.lock.Lock()
	defer e.sealed.lock.Unlock()
	healed := slices.ContainsFunc(e.sealed.of, func(s sample) bool {
		_, _, err := e.Of(s.resource).TransformFromStorage(ctx, s.data, s.dataCtx)
		return err == nil
	})
	if healed {
		e.sealed.of = nil
	}
	return healed
}
