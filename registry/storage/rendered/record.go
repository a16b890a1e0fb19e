package rendered

import (
	"context"
	"fmt"
	"sync"

	"github.com/annex-dev/annex/registry/storage/layout"
)

// Recorded is an object as it would have been stored.
type Recorded struct {
	Key   layout.Key
	Value []byte
}

// Recording collects what is created in its context instead of being stored.
type Recording struct {
	lock    sync.Mutex
	objects []Recorded
}

type recordingKey struct{}

// Record returns a context in which objects are created that are to be in a template. Nothing else can be written in it.
func Record(ctx context.Context) (context.Context, *Recording) {
	r := &Recording{}
	return context.WithValue(ctx, recordingKey{}, r), r
}

// IsRecorded reports whether what ctx creates is to be in a template, and so does not depend on what is there.
func IsRecorded(ctx context.Context) bool { return recording(ctx) != nil }

// Objects returns what was created so far.
func (r *Recording) Objects() []Recorded {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.objects
}

func recording(ctx context.Context) *Recording {
	r, _ := ctx.Value(recordingKey{}).(*Recording)
	return r
}

// create takes in an object.
func (r *Recording) create(c *Client, key string, value []byte, expected int64) error {
	k, ok := c.covers(key)
	if !ok || expected != 0 {
		return fmt.Errorf("%s cannot be in a template", key)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.objects = append(r.objects, Recorded{Key: k, Value: value})
	return nil
}
