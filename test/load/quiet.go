package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// quietPause is how long the quiet workspace rests between requests.
const quietPause = 5 * time.Millisecond

// quiet is a workspace whose users shall not notice what others do.
type quiet struct {
	conn   *crowd.Connection
	client dynamic.ResourceInterface
	all    dynamic.Interface // of the workspace
	made   int
}

// newQuiet returns the user of a workspace, over a connection that the caller
// closes.
func newQuiet(ctx context.Context, config *rest.Config, path string) (*quiet, error) {
	conn, err := crowd.Connect(config)
	if err != nil {
		return nil, err
	}
	client, err := conn.Cluster(path)
	if err != nil {
		return nil, err
	}
	q := &quiet{conn: conn, all: client, client: client.Resource(configMaps).Namespace(metav1.NamespaceDefault)}
	if _, err := q.client.Create(ctx, newConfigMap("read"), metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating what is read: %w", err)
	}
	return q, nil
}

// measure takes turns with n reads and n writes. Every one of them has to
// succeed.
func (q *quiet) measure(ctx context.Context, n int) (reads, writes latencies, err error) {
	for range n {
		if err := q.measureOnce(ctx, &reads, &writes); err != nil {
			return nil, nil, err
		}
	}
	return reads, writes, nil
}

func (q *quiet) measureOnce(ctx context.Context, reads, writes *latencies) error {
	timed := func(l *latencies, do func() error) error {
		if err := crowd.Sleep(ctx, quietPause); err != nil {
			return err
		}
		start := time.Now()
		if err := do(); err != nil {
			return err
		}
		*l = append(*l, time.Since(start))
		return nil
	}
	if err := timed(reads, func() error {
		_, err := q.client.Get(ctx, "read", metav1.GetOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	q.made++
	if err := timed(writes, func() error {
		_, err := q.client.Create(ctx, newConfigMap("quiet-"+strconv.Itoa(q.made)), metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// define tells how long a new CustomResourceDefinition takes until it is served.
func (q *quiet) define(ctx context.Context) (time.Duration, error) {
	q.made++
	plural := "quiets" + strconv.Itoa(q.made)
	gvr := schema.GroupVersionResource{Group: "quiet.example.com", Version: "v1", Resource: plural}
	crd := newObject(definitions, "CustomResourceDefinition", gvr.GroupResource().String(), map[string]any{"spec": map[string]any{
		"group": gvr.Group, "scope": "Cluster",
		"names": map[string]any{"plural": plural, "kind": "Quiet" + strconv.Itoa(q.made)},
		"versions": []any{map[string]any{
			"name": gvr.Version, "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
		}},
	}})
	start := time.Now()
	if _, err := q.all.Resource(definitions).Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return 0, fmt.Errorf("defining a resource: %w", err)
	}
	for {
		_, err := q.all.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
		if !apierrors.IsNotFound(err) {
			return time.Since(start), err
		}
		if err := crowd.Sleep(ctx, servedInterval); err != nil {
			return 0, err
		}
	}
}

// clean removes what measure and define have made.
func (q *quiet) clean(ctx context.Context) error {
	err := q.client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name!=read"})
	return errors.Join(err, q.all.Resource(definitions).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
}
