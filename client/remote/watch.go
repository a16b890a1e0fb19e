package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

// Watch implements client.Reader: handle is called for everything that happens to the resource in all clusters, until ctx
// ends. A handler that is slow slows the watch down and loses nothing. Watch returns NotFound when the resource is unknown
// to the scheme and the server, or when the server does not serve it at the beginning.
func (c *Client) Watch(ctx context.Context, gr schema.GroupResource, handle func(client.Event)) error {
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 5 * time.Second}
	retry := backoff
	resourceVersion, begun := "", false
	for ctx.Err() == nil {
		next, err := c.follow(ctx, gr, resourceVersion, func(event client.Event) {
			begun = true
			if ctx.Err() == nil {
				handle(event)
			}
		})
		if ctx.Err() != nil {
			break
		}
		if !begun && apierrors.IsNotFound(err) {
			return fmt.Errorf("watching %s: %w", gr, err)
		}
		if next != resourceVersion {
			retry = backoff
		}
		resourceVersion = next
		report(ctx, gr, err)
		select {
		case <-ctx.Done():
		case <-time.After(retry.Step()):
		}
	}
	return ctx.Err()
}

// report logs why a watch was interrupted: what the server refuses loudly, and what belongs to the life of a watch, such as a
// broken connection, quietly.
func report(ctx context.Context, gr schema.GroupResource, err error) {
	var status apierrors.APIStatus
	if errors.As(err, &status) && !expired(err) {
		klog.FromContext(ctx).Error(err, "Watch was interrupted and goes on", "resource", gr)
		return
	}
	klog.FromContext(ctx).V(2).Info("Watch was interrupted and goes on", "resource", gr, "reason", err.Error())
}

// follow delivers what happens from resourceVersion on, or everything when it is empty, until the watch ends, which is always
// an error. It returns where to go on: empty when the watch must start over.
func (c *Client) follow(ctx context.Context, gr schema.GroupResource, resourceVersion string, deliver func(client.Event)) (string, error) {
	r, err := c.resource(ctx, gr)
	if err != nil {
		return resourceVersion, err
	}
	if resourceVersion == "" {
		resourceVersion, err = r.each(ctx, client.Scope{},
			func() { deliver(client.Event{Type: client.Reset}) },
			func(obj client.Object) { deliver(client.Event{Type: client.Added, Object: obj}) })
		if err != nil {
			return "", fmt.Errorf("listing: %w", err)
		}
		deliver(client.Event{Type: client.Synced})
	}
	events, err := options(r.at(r.rest.Get(), all, ""), &metav1.ListOptions{
		Watch:               true,
		ResourceVersion:     resourceVersion,
		AllowWatchBookmarks: true,
	}).Watch(ctx)
	switch {
	case expired(err):
		return "", fmt.Errorf("watching: %w", err)
	case err != nil:
		return resourceVersion, fmt.Errorf("watching: %w", err)
	}
	defer events.Stop()
	progress := false
	for event := range events.ResultChan() {
		switch event.Type {
		case watch.Error:
			err := apierrors.FromObject(event.Object)
			if expired(err) || !progress {
				// An error in place of the first event, such as an event that cannot be decoded, would come again.
				resourceVersion = ""
			}
			return resourceVersion, fmt.Errorf("watching: %w", err)
		case watch.Bookmark:
			bookmark, err := meta.Accessor(event.Object)
			if err != nil {
				return resourceVersion, fmt.Errorf("reading a bookmark: %w", err)
			}
			resourceVersion = bookmark.GetResourceVersion()
		case watch.Added, watch.Modified, watch.Deleted:
			obj, err := located(event.Object, all)
			if err != nil {
				return "", fmt.Errorf("reading an event: %w", err)
			}
			resourceVersion = obj.GetResourceVersion()
			// The names of the types are those of the wire.
			deliver(client.Event{Type: client.EventType(event.Type), Object: obj})
		}
		progress = true
	}
	return resourceVersion, errors.New("the watch ended")
}

// expired reports whether err says that the server no longer has the history since a resourceVersion.
func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
