package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/rendered"
)

// templatesKept is how many bytes the names of templates may take, with the objects that they were made for.
const templatesKept = 1 << 20

// Templates implements client.Templates. It is safe for concurrent use.
type Templates struct {
	backend *Backend
	create  CreateFunc
	names   *lru.Cache[[sha256.Size]byte, string] // of templates, by the objects they were made for
	made    atomic.Int64                          // how many templates were made since the last look for unused ones
}

// collectAfter is how many templates are made before unused ones are looked for. Tenants choose how many types of workspaces there are.
const collectAfter = 64

// CreateFunc creates an object as any other: admission, strategy and storage.
type CreateFunc func(ctx context.Context, resource schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error)

// Templates returns a maker of templates.
func (b *Backend) Templates(create CreateFunc) *Templates {
	return &Templates{backend: b, create: create, names: lru.New[[sha256.Size]byte, string](templatesKept, nil)}
}

// MakeFrom implements client.Templates.
func (t *Templates) MakeFrom(ctx context.Context, cluster logicalcluster.Name, annotations map[string]string, objects []client.Initial, values []string) (map[string]string, error) {
	if len(values) > rendered.MaxValues {
		return nil, nil
	}
	id, err := idOf(cluster, objects, values)
	if err != nil {
		return nil, err
	}
	name, ok := t.names.Get(id)
	if !ok || !t.backend.rendered.Holds(name) {
		if name, err = t.record(ctx, cluster, objects, values); err != nil {
			return nil, err
		}
		t.names.Put(id, name, int64(len(id)+len(name)), name)
	}
	made := rendered.Made{Template: name, Values: values}
	if allowed := t.backend.limits.In(cluster, annotations); allowed.Any() {
		its, err := t.backend.rendered.Amount(ctx, cluster, made)
		if err != nil {
			return nil, err
		}
		if allowed.Exceeded(cluster, limits.Amount{}, its) != nil {
			return nil, nil // creating them says what there is no room for
		}
	}
	return map[string]string{corev1alpha1.MadeFromAnnotationKey: made.String()}, nil
}

// Collect implements client.Templates.
func (t *Templates) Collect(ctx context.Context) error {
	t.made.Store(0)
	_, err := t.backend.rendered.Collect(ctx)
	return err
}

// InTemplate reports whether what ctx creates is not stored, but becomes part of a template: what it belongs to need not be there.
func InTemplate(ctx context.Context) bool { return rendered.IsRecorded(ctx) }

// idOf returns what objects that differ only in their cluster have alike.
func idOf(cluster logicalcluster.Name, objects []client.Initial, values []string) (id [sha256.Size]byte, err error) {
	var all bytes.Buffer
	for _, initial := range objects {
		body, err := json.Marshal(initial.Object)
		if err != nil {
			return id, fmt.Errorf("writing %s %q: %w", initial.Resource, initial.Object.GetName(), err)
		}
		k := layout.Key{Resource: initial.Resource, Cluster: cluster, Namespace: initial.Object.GetNamespace(), Name: initial.Object.GetName()}
		o, err := rendered.Generalize(k, body, values)
		if err != nil {
			return id, err
		}
		fmt.Fprintf(&all, "%s\n%s\n", k.Resource, o.Body)
	}
	return sha256.Sum256(all.Bytes()), nil
}

// record stores a template of objects.
func (t *Templates) record(ctx context.Context, cluster logicalcluster.Name, objects []client.Initial, values []string) (string, error) {
	ctx, recording := rendered.Record(ctx)
	for _, initial := range objects {
		if _, err := t.create(ctx, initial.Resource, cluster, initial.Object); err != nil {
			return "", fmt.Errorf("creating %s %q in a template: %w", initial.Resource, initial.Object.GetName(), err)
		}
	}
	template := &rendered.Template{}
	for _, recorded := range recording.Objects() {
		body, err := t.asJSON(recorded)
		if err != nil {
			return "", err
		}
		o, err := rendered.Generalize(recorded.Key, body, values)
		if err != nil {
			return "", err
		}
		template.Objects = append(template.Objects, o)
	}
	if t.made.Add(1) >= collectAfter {
		if err := t.Collect(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "Unused templates of workspaces cannot be removed")
		}
	}
	return t.backend.rendered.PutTemplate(ctx, template)
}

// asJSON returns an object as it would be stored as JSON.
func (t *Templates) asJSON(r rendered.Recorded) ([]byte, error) {
	data, ok := bytes.CutPrefix(r.Value, []byte(raw.ProtobufMagic))
	if !ok {
		return r.Value, nil
	}
	codec, err := t.backend.codec(r.Key.Resource)
	if err != nil {
		return nil, fmt.Errorf("finding the codec of %s: %w", r.Key.Resource, err)
	}
	obj, err := runtime.Decode(codec, r.Value)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", r.Key.Resource, r.Key.Name, err)
	}
	var stored runtime.Unknown
	if err := stored.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", r.Key.Resource, r.Key.Name, err)
	}
	obj.GetObjectKind().SetGroupVersionKind(stored.GroupVersionKind())
	return json.Marshal(obj)
}
