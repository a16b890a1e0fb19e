package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// relistPause keeps a server that ends each watch at once from being
	// flooded.
	relistPause = 100 * time.Millisecond
	// changeTimeout bounds the wait for one change of one object, so that a
	// server that forgets one does not use up the time of the figure.
	changeTimeout = 2 * time.Minute
)

// withChangeTimeout bounds a wait by changeTimeout.
func withChangeTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, changeTimeout, fmt.Errorf("no change within %s", changeTimeout))
}

// observer sees a collection change. Both functions report whether they have
// seen enough.
type observer struct {
	// listed gets the whole collection part by part, first of all and again
	// whenever a watch has ended.
	listed func(part) bool
	// changed gets one object that was added, modified, or deleted.
	changed func(watch.EventType, *unstructured.Unstructured) bool
}

// part of a collection. Parts are what it was at one moment. After a list that
// broke off, the first part of another one follows.
type part struct {
	items       []unstructured.Unstructured
	first, last bool
}

// follow lists the collection, then watches it, until the observer has seen
// enough, and then returns nil. Otherwise it fails with the fault of a list, of
// opening a watch, or with the context's cause.
//
// It lists anew after the end of a watch, rather than resuming: that is right
// for every reason a watch can end, and happens about once an hour.
func follow(ctx context.Context, resource dynamic.ResourceInterface, selector metav1.ListOptions, o observer) error {
	for {
		options := selector
		version, enough, err := listOnce(ctx, resource, selector, o)
		if err == nil && !enough {
			options.ResourceVersion = version
			options.AllowWatchBookmarks = true
			enough, err = watchOnce(ctx, resource, options, o)
		}
		if enough || (err != nil && !isExpired(err)) {
			return err
		}
		if err := crowd.Sleep(ctx, relistPause); err != nil {
			return err
		}
	}
}

// listOnce passes the collection on, of which there may be more than fits into
// this process. It returns the resource version of all parts.
func listOnce(ctx context.Context, resource dynamic.ResourceInterface, selector metav1.ListOptions, o observer) (version string, enough bool, err error) {
	selector.Limit = chunkSize
	for {
		list, err := resource.List(ctx, selector)
		if err != nil {
			return "", false, fmt.Errorf("listing: %w", withCause(ctx, err))
		}
		first := selector.Continue == ""
		if first {
			version = list.GetResourceVersion()
		}
		selector.Continue = list.GetContinue()
		last := selector.Continue == ""
		if o.listed(part{list.Items, first, last}) {
			return version, true, nil
		}
		if last {
			return version, false, nil
		}
	}
}

// watchOnce passes events on until the watch ends, for whatever reason.
func watchOnce(ctx context.Context, resource dynamic.ResourceInterface, options metav1.ListOptions, o observer) (enough bool, err error) {
	w, err := resource.Watch(ctx, options)
	if err != nil {
		return false, fmt.Errorf("opening a watch: %w", withCause(ctx, err))
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return false, context.Cause(ctx)
			}
			if event.Type == watch.Bookmark {
				continue
			}
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return false, fmt.Errorf("watching: event of unexpected type %T", event.Object)
			}
			if o.changed(event.Type, obj) {
				return true, nil
			}
		}
	}
}

// isExpired reports that the server no longer has a resource version that it has
// named.
func isExpired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// withCause says why the context ended, when that is what made a call fail.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// await returns the named object once the condition holds for it, which must be
// within changeTimeout.
func await(ctx context.Context, resource dynamic.ResourceInterface, name string, condition func(*unstructured.Unstructured) bool) (*unstructured.Unstructured, error) {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	return awaitAnyTime(ctx, resource, name, condition)
}

// awaitAnyTime is await for what may take as long as the figure.
func awaitAnyTime(ctx context.Context, resource dynamic.ResourceInterface, name string, condition func(*unstructured.Unstructured) bool) (*unstructured.Unstructured, error) {
	var found *unstructured.Unstructured
	check := func(obj *unstructured.Unstructured) bool {
		if obj.GetName() == name && condition(obj) {
			found = obj
		}
		return found != nil
	}
	err := follow(ctx, resource, metav1.ListOptions{FieldSelector: "metadata.name=" + name}, observer{
		listed: func(p part) bool {
			for i := range p.items {
				if check(&p.items[i]) {
					return true
				}
			}
			return false
		},
		changed: func(t watch.EventType, obj *unstructured.Unstructured) bool {
			return t != watch.Deleted && check(obj)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for %q: %w", name, err)
	}
	return found, nil
}
