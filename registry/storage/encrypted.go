package storage

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/rendered"
)

// healInterval is the time between looks whether what could not be decrypted can be by now.
const healInterval = 10 * time.Second

// NewEncryption returns an Encryption for who reads etcd without a Backend.
func NewEncryption(resources value.ResourceTransformers) *encryption.Encryption {
	return encryption.New(resources)
}

// below returns the transformer of the stored bytes of a resource.
func (b *Backend) below(gr schema.GroupResource) value.Transformer {
	t := b.encryption.Of(gr)
	if b.encryption == nil {
		return t
	}
	return unrecorded{t}
}

// unrecorded encrypts what is stored, but not what becomes part of a template.
type unrecorded struct{ value.Transformer }

// TransformToStorage implements value.Transformer.
func (u unrecorded) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	if rendered.IsRecorded(ctx) {
		return data, nil
	}
	return u.Transformer.TransformToStorage(ctx, data, dataCtx)
}

// opening implements raw.Opening: the key says which resource a value is of.
func (b *Backend) opening(ctx context.Context, key string, data []byte, dataCtx value.Context) ([]byte, error) {
	var gr schema.GroupResource
	if b.encryption != nil {
		k, err := layout.Parse(key)
		if err != nil {
			return data, nil // it is no object, which package raw finds, too
		}
		gr = k.Resource
	}
	return b.encryption.OpenOrNotice(ctx, gr, data, dataCtx)
}

// Heal makes watch caches read again, until ctx ends, whenever something can be decrypted that could not be when they read it: a key was
// added to the configuration, or the plugin that has the keys knows them again.
func (b *Backend) Heal(ctx context.Context) { b.heal(ctx, healInterval) }

func (b *Backend) heal(ctx context.Context, interval time.Duration) {
	if b.encryption == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
		if !b.encryption.Heal(ctx) {
			continue
		}
		klog.FromContext(ctx).Info("Objects can be decrypted that could not be before. Watch caches read everything again")
		for _, e := range b.etcds() {
			e.caches.ReadAgain()
		}
	}
}
