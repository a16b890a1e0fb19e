package inprocess

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

// fromCache asks the watch cache for what it has; consistent waits until it has reached etcd's newest revision.
const (
	fromCache  = "0"
	consistent = ""
)

// Get implements client.Reader.
func (c *Reader) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	return c.get(ctx, gr, key, fromCache)
}

// List implements client.Reader.
func (c *Reader) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	objects, _, err := c.list(ctx, gr, scope, fromCache)
	return objects, err
}

func (c *Reader) get(ctx context.Context, gr schema.GroupResource, key client.Key, resourceVersion string) (client.Object, error) {
	r, err := c.resource(gr)
	if err != nil {
		return nil, err
	}
	obj, err := r.store.Get(at(ctx, itself, key.Cluster, key.Namespace), key.Name, &metav1.GetOptions{ResourceVersion: resourceVersion})
	if err != nil {
		return nil, err
	}
	return r.fromStorage(obj)
}

func (c *Reader) list(ctx context.Context, gr schema.GroupResource, scope client.Scope, resourceVersion string) ([]client.Object, string, error) {
	r, err := c.resource(gr)
	if err != nil {
		return nil, "", err
	}
	list, err := r.store.List(at(ctx, itself, scope.Cluster, scope.Namespace), &metainternalversion.ListOptions{
		ResourceVersion: resourceVersion,
		LabelSelector:   scope.Selector,
	})
	if err != nil {
		return nil, "", err
	}
	objects, err := r.fromList(list)
	if err != nil {
		return nil, "", fmt.Errorf("reading the list of %s: %w", gr, err)
	}
	listMeta, err := meta.ListAccessor(list)
	if err != nil {
		return nil, "", fmt.Errorf("reading the list of %s: %w", gr, err)
	}
	return objects, listMeta.GetResourceVersion(), nil
}

// Watch implements client.Reader.
func (c *Reader) Watch(ctx context.Context, gr schema.GroupResource, handle func(client.Event)) error {
	if _, err := c.resource(gr); err != nil {
		return err
	}
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 5 * time.Second}
	retry := backoff
	resourceVersion := ""
	for ctx.Err() == nil {
		next, err := c.follow(ctx, gr, resourceVersion, handle)
		if next != resourceVersion {
			retry = backoff
		}
		resourceVersion = next
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Watch starts over", "resource", gr, "reason", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.Step()):
		}
	}
	return ctx.Err()
}

// follow delivers what happens from resourceVersion on, or everything when it is empty, until the watch ends. It returns
// where to go on: empty when the history is gone and the watch must begin anew.
func (c *Reader) follow(ctx context.Context, gr schema.GroupResource, resourceVersion string, handle func(client.Event)) (string, error) {
	if resourceVersion == "" {
		objects, listed, err := c.list(ctx, gr, client.Scope{}, consistent)
		if err != nil {
			return "", fmt.Errorf("listing: %w", err)
		}
		handle(client.Event{Type: client.Reset})
		for _, obj := range objects {
			handle(client.Event{Type: client.Added, Object: obj})
		}
		handle(client.Event{Type: client.Synced})
		resourceVersion = listed
	}
	r := c.resources[gr]
	watcher, err := r.store.Watch(at(ctx, itself, "", ""), &metainternalversion.ListOptions{
		ResourceVersion:     resourceVersion,
		AllowWatchBookmarks: true,
	})
	if err != nil {
		return resumable(resourceVersion, err), fmt.Errorf("watching: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if event.Type == watch.Error {
			err := apierrors.FromObject(event.Object)
			return resumable(resourceVersion, err), fmt.Errorf("watching: %w", err)
		}
		if event.Type == watch.Bookmark {
			if bookmark, err := meta.Accessor(event.Object); err == nil {
				resourceVersion = bookmark.GetResourceVersion()
			}
			continue
		}
		obj, err := r.fromStorage(event.Object)
		if err != nil {
			return "", fmt.Errorf("reading an event: %w", err)
		}
		resourceVersion = obj.GetResourceVersion()
		switch event.Type {
		case watch.Added:
			handle(client.Event{Type: client.Added, Object: obj})
		case watch.Modified:
			handle(client.Event{Type: client.Modified, Object: obj})
		case watch.Deleted:
			handle(client.Event{Type: client.Deleted, Object: obj})
		}
	}
	return resourceVersion, errors.New("the watch ended")
}

// resumable returns resourceVersion unless err says that its history is gone.
func resumable(resourceVersion string, err error) string {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return ""
	}
	return resourceVersion
}

// Live returns a reader whose Get and List see every write acknowledged before the call, at the price of a look at etcd.
func (c *Reader) Live() client.Reader { return live{c} }

type live struct{ *Reader }

// Get implements client.Reader.
func (l live) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	return l.get(ctx, gr, key, consistent)
}

// List implements client.Reader.
func (l live) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	objects, _, err := l.list(ctx, gr, scope, consistent)
	return objects, err
}
