package storage

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/nice/nicetest"
)

type beginning struct {
	apistorage.Interface
	begin func()
}

func (b beginning) Watch(context.Context, string, apistorage.ListOptions) (watch.Interface, error) {
	b.begin()
	return watch.NewFake(), nil
}

// A watch that begins decodes all that exists.
func TestEnding_TheBeginningOfAWatchGivesWay(t *testing.T) {
	for _, want := range []bool{true, false} {
		ctx := t.Context()
		if want {
			ctx = nice.With(ctx)
		}
		w, err := ending{beginning{begin: func() {
			if got := nicetest.GivesWay(t); got != want {
				t.Errorf("gives way: %t, want %t", got, want)
			}
		}}}.Watch(ctx, "", apistorage.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.Stop()
	}
}
