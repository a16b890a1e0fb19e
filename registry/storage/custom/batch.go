package custom

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// What is decoded at once, and sent to a webhook with one call, is bounded in objects and in stored bytes.
const (
	batchObjects = 500
	batchBytes   = 2 << 20
)

// batchCodec is a codec that decodes many objects for less than it costs to decode them one by one.
type batchCodec interface {
	// DecodeAll returns what Decode would, in the same order.
	DecodeAll(data [][]byte) ([]runtime.Object, error)
}

// ahead decodes the objects of a page for a reader who takes them in their order, and may leave some out.
type ahead struct {
	storage *Storage
	items   []raw.Object
	// objects are what was decoded of the items [from, from+len(objects)).
	objects []runtime.Object
	from    int
	// tolerant is whether the reader leaves out what cannot be decoded. Then an object of one cluster must not take those of others along.
	tolerant bool
	suspects suspects
}

// object returns what the item at i is decoded to, as [Storage.object] does.
func (a *ahead) object(i int) (runtime.Object, error) {
	codec, ok := a.storage.codec.(batchCodec)
	if !ok {
		return a.storage.object(&a.items[i])
	}
	if i < a.from || i >= a.from+len(a.objects) {
		if err := a.decode(codec, i); err != nil {
			return nil, err
		}
	}
	obj := a.objects[i-a.from]
	a.objects[i-a.from] = nil // the reader has it
	return obj, nil
}

// decode decodes items from the one at i on. Without tolerance, one that cannot be decoded fails all of them. With it, the batch is halved until
// what remains can be decoded, or is that one.
func (a *ahead) decode(codec batchCodec, i int) error {
	a.objects, a.from = nil, i
	for {
		data, err := a.gather(i)
		if err != nil {
			return a.storage.undecodable(&a.items[i], err)
		}
		objects, err := codec.DecodeAll(data)
		switch {
		case err == nil:
			for at, obj := range objects {
				if objects[at], err = a.storage.decodedFrom(&a.items[i+at], obj); err != nil && at > 0 {
					objects = objects[:at] // its turn comes
					break
				}
				if err != nil {
					return err
				}
			}
			a.suspects.cleared()
			a.objects = objects
			return nil
		case len(data) == 1:
			a.suspects.failed(&a.items[i])
			return a.storage.undecodable(&a.items[i], err)
		case !a.tolerant: // it may be any of them, and a webhook is not asked for each
			return fmt.Errorf("one of %d objects that are stored as %s cannot be decoded: %w", len(data), a.storage.Layout.Resource, err)
		}
		a.suspects.most = len(data) / 2
	}
}

// gather returns the stored bytes of the next batch, which begins with the item at i.
func (a *ahead) gather(i int) (data [][]byte, err error) {
	if a.suspects.given(&a.items[i]) {
		return nil, errGivenUp
	}
	bytes := 0
	for at := i; at < len(a.items) && len(data) < a.suspects.atMost(); at++ {
		if bytes += a.items[at].Size(); bytes > batchBytes && len(data) > 0 {
			break
		}
		next := a.items[at].Data()
		if err := encryption.Sealed(next); err != nil {
			if at > i {
				break
			}
			return nil, err
		}
		data = append(data, next)
	}
	return data, nil
}

// of returns the object of an item, which follows those that were asked for before.
func (a *ahead) of(item *raw.Object, from *int) (runtime.Object, error) {
	for i := *from; i < len(a.items); i++ {
		if a.items[i].Key() == item.Key() {
			*from = i + 1
			return a.object(i)
		}
	}
	return a.storage.object(item)
}
