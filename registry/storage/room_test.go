package storage

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/room"
)

// limited is a room that notes what is taken.
type limited struct{ most, taken int64 }

func (l *limited) Take(bytes int64) error {
	if l.taken > 0 && l.taken+bytes > l.most {
		return &room.TooLargeError{Most: l.most}
	}
	l.taken += bytes
	return nil
}

// full is the room of a request beside others that have all memory.
type full struct{}

func (full) Take(int64) error { return apierrors.NewTooManyRequests("full", 1) }

// Lists of typed resources share the memory for answers with all others. An answer that is encoded as a whole takes more of it.
func TestTypedLists_TakeWhatTheyHold(t *testing.T) {
	const objects, size = 20, 100_000
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := configMapStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	for i := range objects {
		obj := configMap("default", fmt.Sprint("c", i))
		obj.Data = map[string]string{"a": strings.Repeat("x", size)}
		create(t, ctx, s, obj)
	}
	list := func(ctx context.Context, r room.Room, version string) (int, error) {
		list := &corev1.ConfigMapList{}
		opts := apistorage.ListOptions{ResourceVersion: version, Predicate: apistorage.Everything, Recursive: true}
		err := s.GetList(room.With(ctx, r), s.key("default"), opts, list)
		return len(list.Items), err
	}
	for _, version := range []string{"", "0"} {
		taken := map[string]int64{}
		for name, ctx := range map[string]context.Context{"one by one": ctx, "as a whole": room.Whole(ctx)} {
			r := &limited{most: 1 << 40}
			if n, err := list(ctx, r, version); err != nil || version == "" && n != objects {
				t.Fatalf("%s at %q: %d objects, %v", name, version, n, err)
			}
			taken[name] = r.taken
			if _, err := list(ctx, &limited{most: r.taken / 2}, version); !apierrors.IsRequestEntityTooLargeError(err) || !strings.Contains(err.Error(), "Read it in pages, with limit and continue") {
				t.Errorf("%s at %q, with less room: %v", name, version, err)
			}
			if _, err := list(ctx, full{}, version); !apierrors.IsTooManyRequests(err) {
				t.Errorf("%s at %q, without room: %v", name, version, err)
			}
		}
		if more := taken["as a whole"] - taken["one by one"]; taken["one by one"] < objects*size || more < room.WholeFactor*objects*size {
			t.Errorf("at %q they take %v", version, taken)
		}
	}
	// An object is read however full the memory is.
	if err := s.Get(room.With(ctx, full{}), s.key("default", "c0"), apistorage.GetOptions{}, &corev1.ConfigMap{}); err != nil {
		t.Error(err)
	}
}
