package clienttest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Content is a client.Content over what a Fake holds. A Fake knows no buckets: all that it holds counts as typed.
type Content struct {
	fake *Fake

	mu     sync.Mutex
	err    error
	before func()
	kinds  map[schema.GroupVersionKind]client.Kind

	retired []client.Retirement
}

var _ client.Content = &Content{}

// NewContent returns a Content that deletes what f holds.
func NewContent(f *Fake) *Content { return &Content{fake: f} }

// Fail makes every call answer err, until it is nil again.
func (c *Content) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Before has each call begin with a call of before.
func (c *Content) Before(before func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = before
}

func (c *Content) failure() error {
	c.mu.Lock()
	before, err := c.before, c.err
	c.mu.Unlock()
	if before != nil {
		before()
	}
	return err
}

// DeleteAll implements client.Content.
func (c *Content) DeleteAll(ctx context.Context, scope client.ContentScope) (client.Remaining, error) {
	var remaining client.Remaining
	if err := c.failure(); err != nil {
		return remaining, err
	}
	stages := map[int][]schema.GroupResource{}
	for _, resource := range c.known() {
		stage := 0
		if scope.Stage != nil {
			stage = scope.Stage(resource)
		}
		if scope.Wanted == nil || scope.Wanted(resource, "") {
			stages[stage] = append(stages[stage], resource)
		}
	}
	for _, stage := range slices.Sorted(maps.Keys(stages)) {
		for _, resource := range stages[stage] {
			if err := c.delete(ctx, resource, scope, &remaining); err != nil {
				return remaining, err
			}
		}
		if !remaining.Empty() {
			break
		}
	}
	return remaining, nil
}

// delete deletes and releases the objects of a resource, and counts what is left.
func (c *Content) delete(ctx context.Context, resource schema.GroupResource, scope client.ContentScope, remaining *client.Remaining) error {
	within := client.Scope{Cluster: scope.Cluster, Namespace: scope.Namespace}
	for _, obj := range c.listed(resource, within) {
		if err := c.fake.Delete(ctx, resource, client.KeyOf(obj), nil); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	for _, obj := range c.listed(resource, within) {
		if scope.Release == nil {
			break
		}
		if _, err := scope.Release(ctx, resource, client.KeyOf(obj)); err != nil {
			return err
		}
	}
	for _, obj := range c.listed(resource, within) {
		remaining.Add(resource, obj.GetFinalizers())
	}
	return nil
}

// Purge implements client.Content.
func (c *Content) Purge(_ context.Context, cluster logicalcluster.Name) (int64, error) {
	if err := c.failure(); err != nil {
		return 0, err
	}
	var n int64
	for _, resource := range c.known() {
		for _, obj := range c.listed(resource, client.Scope{Cluster: cluster}) {
			c.fake.mu.Lock()
			c.fake.remove(resource, client.KeyOf(obj))
			c.fake.mu.Unlock()
			n++
		}
	}
	return n, nil
}

func (c *Content) known() []schema.GroupResource {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	return c.fake.known()
}

// known returns the resources of all objects that there ever were, sorted.
func (f *Fake) known() []schema.GroupResource {
	return slices.SortedFunc(maps.Keys(f.resources), func(a, b schema.GroupResource) int { return strings.Compare(a.String(), b.String()) })
}

func (c *Content) listed(resource schema.GroupResource, scope client.Scope) []client.Object {
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()
	return c.fake.list(resource, scope)
}
