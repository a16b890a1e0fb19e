package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

// Source is what is followed.
type Source[T any] struct {
	// Name is for the log.
	Name string
	// List returns the beginning of everything, from a read that misses nothing, or the page where an earlier one says that it goes on.
	List func(ctx context.Context, next string) (Page[T], error)
	// Watch returns what happens after a resourceVersion, with bookmarks.
	Watch func(ctx context.Context, resourceVersion string) (watch.Interface, error)
	// Read makes an item of the object of an event. Other watches may get what it refers to, so Read must not change that.
	Read func(obj runtime.Object) (T, error)
}

// Page is a part of a list. Only one of them is held at a time: everything together, decoded, may take many times the memory that it
// takes in the watch cache.
type Page[T any] struct {
	Items []T
	// Version is the resourceVersion of the whole list, from which Watch goes on.
	Version string
	// Next is where the list goes on; empty after the last page.
	Next string
}

// Shared is an object of an event that several watches share without copying it: of what Shared returns, only the outermost fields belong
// to the caller.
type Shared interface{ Shared() runtime.Object }

// Run calls handle, from the goroutine of the caller, for everything that happens until ctx ends, and returns why that did.
// For Reset and Synced the item is zero.
func Run[T any](ctx context.Context, source Source[T], handle func(client.EventType, T)) error {
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 5 * time.Second}
	retry := backoff
	resourceVersion := ""
	for ctx.Err() == nil {
		next, err := source.follow(ctx, resourceVersion, handle)
		if next != resourceVersion {
			retry = backoff
		}
		resourceVersion = next
		if ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Watch starts over", "resource", source.Name, "reason", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.Step()):
		}
	}
	return ctx.Err()
}

// follow delivers what happens from resourceVersion on, or everything when it is empty, until the watch ends. It returns
// where to go on, empty when the history is gone and the watch must begin anew, and why it ended.
func (s Source[T]) follow(ctx context.Context, resourceVersion string, handle func(client.EventType, T)) (string, error) {
	if resourceVersion == "" {
		var none T
		// Before the list, which may fail for long: what was known is no longer kept up to date.
		handle(client.Reset, none)
		listed, err := s.list(ctx, func(item T) { handle(client.Added, item) })
		if err != nil {
			return "", fmt.Errorf("listing: %w", err)
		}
		handle(client.Synced, none)
		resourceVersion = listed
	}
	watcher, err := s.Watch(ctx, resourceVersion)
	if err != nil {
		return resumable(resourceVersion, err), fmt.Errorf("watching: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if event.Type == watch.Error {
			err := apierrors.FromObject(event.Object)
			return resumable(resourceVersion, err), fmt.Errorf("watching: %w", err)
		}
		accessor, err := meta.Accessor(event.Object)
		if err != nil {
			return "", fmt.Errorf("reading an event: %w", err)
		}
		if event.Type != watch.Bookmark {
			item, err := s.read(event.Object)
			if err != nil {
				return "", fmt.Errorf("reading an event: %w", err)
			}
			handle(client.EventType(event.Type), item) // they have the same names
		}
		resourceVersion = accessor.GetResourceVersion()
	}
	return resourceVersion, errors.New("the watch ended")
}

// list calls handle for everything, and returns the resourceVersion from which Watch goes on.
func (s Source[T]) list(ctx context.Context, handle func(T)) (string, error) {
	page, err := s.List(ctx, "")
	version := page.Version
	for err == nil {
		for _, item := range page.Items {
			handle(item)
		}
		if page.Next == "" {
			return version, nil
		}
		page, err = s.List(ctx, page.Next)
	}
	return "", err
}

// read makes an item of the object of an event.
func (s Source[T]) read(obj runtime.Object) (T, error) {
	switch wrapped := obj.(type) {
	case Shared:
		obj = wrapped.Shared()
	case runtime.CacheableObject:
		obj = wrapped.GetObject()
	}
	return s.Read(obj)
}

// resumable returns resourceVersion unless err says that its history is gone.
func resumable(resourceVersion string, err error) string {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return ""
	}
	return resourceVersion
}
