package custom

import (
	"context"
	"errors"

	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/raw"
)

type droppingKey struct{}

// DroppingUnreadable returns a context in which reading a single object deletes it if it cannot be decoded, and answers
// NotFound. What cannot be decrypted stays.
func DroppingUnreadable(ctx context.Context) context.Context {
	return context.WithValue(ctx, droppingKey{}, true)
}

// dropUnreadable deletes the object at key, with regard to its cached state, if ctx asks for it and it cannot be decoded. A
// request that sees only some objects deletes none unread.
func (s *Storage) dropUnreadable(ctx context.Context, key string) error {
	if dropping, _ := ctx.Value(droppingKey{}).(bool); !dropping || s.drop == nil || !s.Sight(ctx).Full() {
		return nil
	}
	var raw raw.Object
	if err := s.raw.Get(ctx, key, apistorage.GetOptions{ResourceVersion: "0"}, &raw); err != nil {
		return err
	}
	_, err := s.decode(&raw, s.newFunc())
	if err == nil {
		return nil
	}
	if errors.Is(err, encryption.ErrSealed) { // who has the key can read it
		return apistorage.NewInternalError(err)
	}
	if err := s.drop(ctx, raw.Head(), err); err != nil {
		return err
	}
	return apistorage.NewKeyNotFoundError(key, 0)
}
