package encryption

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/storage/value"
)

// failing is a transformer of all resources that opens nothing.
type failing struct{ err error }

func (f *failing) TransformerForResource(schema.GroupResource) value.Transformer { return f }

func (f *failing) TransformFromStorage(_ context.Context, data []byte, _ value.Context) ([]byte, bool, error) {
	return data, false, f.err
}

func (f *failing) TransformToStorage(_ context.Context, data []byte, _ value.Context) ([]byte, error) {
	return data, f.err
}

func TestIsTemporary(t *testing.T) {
	away := fmt.Errorf("failed to decrypt DEK, error: %w", status.Error(codes.Unavailable, "no plugin"))
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"a plugin that is away":     {away, true},
		"one of several":            {utilerrors.NewAggregate([]error{errors.New("x"), away}), true},
		"a request that ended":      {fmt.Errorf("x: %w", context.Canceled), true},
		"a plugin without the key":  {status.Error(codes.InvalidArgument, "no such key"), false},
		"another key":               {errors.New("cipher: message authentication failed"), false},
		"several keys open nothing": {utilerrors.NewAggregate([]error{errors.New("x"), errors.New("y")}), false},
	} {
		if got := IsTemporary(tc.err); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOpenOrNotice(t *testing.T) {
	f := &failing{err: status.Error(codes.Unavailable, "no plugin")}
	e := New(f)
	open := func(data string) ([]byte, error) {
		return e.OpenOrNotice(t.Context(), schema.GroupResource{}, []byte(data), value.DefaultContext("/key"))
	}
	if got, err := open("x"); err == nil {
		t.Errorf("a key that is away: %q", got)
	}
	f.err = errors.New("no matching prefix found")
	got, err := open("x")
	if why := Sealed(got); err != nil || !errors.Is(why, ErrSealed) || why.Error() != ErrSealed.Error()+": no matching prefix found" {
		t.Errorf("a key that is missing: %q, %v", got, err)
	}
	if e.Heal(t.Context()) {
		t.Error("it heals without the key")
	}
	if made, err := open(string(e.Mark([]byte("made")))); err != nil || string(made) != "made" {
		t.Errorf("what was made: %q, %v", made, err)
	}
	// Another process does not know the mark.
	if data, err := e.Open(t.Context(), schema.GroupResource{}, &mvccpb.KeyValue{Value: New(f).Mark([]byte("forged"))}); err == nil {
		t.Errorf("a forged mark: %q", data)
	}
	f.err = nil
	if got, err := open("x"); err != nil || string(got) != "x" {
		t.Errorf("a key that is there: %q, %v", got, err)
	}
	if !e.Heal(t.Context()) || e.Heal(t.Context()) {
		t.Error("it heals once")
	}
}

func TestSealed_IsBounded(t *testing.T) {
	e := New(&failing{err: errors.New("x")})
	for i := range 100 {
		size := 10
		if i%2 == 0 {
			size = sampleBytes + 1
		}
		if _, err := e.OpenOrNotice(t.Context(), schema.GroupResource{}, make([]byte, size), value.DefaultContext("/key")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(e.sealed.of); n != samples {
		t.Errorf("%d are kept", n)
	}
	for _, s := range e.sealed.of {
		if len(s.data) > sampleBytes {
			t.Errorf("%d bytes are kept", len(s.data))
		}
	}
}
