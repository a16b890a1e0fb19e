package rendered

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Annotation is where a LogicalCluster says what its cluster is made from: a [Made], as JSON.
const Annotation = corev1alpha1.MadeFromAnnotationKey

// Made is what a cluster is made from.
type Made struct {
	// Template is the name of a template.
	Template string `json:"template"`
	// Values are what the template asks for.
	Values []string `json:"values,omitempty"`
}

// String returns the value of the annotation.
func (m Made) String() string {
	data, _ := json.Marshal(m) // strings never fail
	return string(data)
}

// instance is the template of a cluster with its values.
type instance struct {
	template *Template
	values   values
	revision int64 // in which the LogicalCluster was created
	last     int64 // revision of the LogicalCluster as it is
	bytes    int64 // that its values take, about
}

// madeFrom reads what the LogicalCluster stored as kv says; false if it was made from no template.
func (c *Client) madeFrom(ctx context.Context, kv *mvccpb.KeyValue) (Made, metav1.ObjectMeta, bool, error) {
	var lc metav1.PartialObjectMetadata
	data, err := c.encryption.Open(ctx, owners.LogicalClusters, kv)
	if err != nil {
		if !encryption.IsTemporary(err) {
			err = damageError{err}
		}
		return Made{}, lc.ObjectMeta, false, err
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &lc); err != nil {
		return Made{}, lc.ObjectMeta, false, damageError{fmt.Errorf("reading the LogicalCluster stored as %q: %w", kv.Key, err)}
	}
	note, ok := lc.Annotations[Annotation]
	if !ok {
		return Made{}, lc.ObjectMeta, false, nil
	}
	var made Made
	if err := json.Unmarshal([]byte(note), &made); err != nil {
		return Made{}, lc.ObjectMeta, false, damageError{fmt.Errorf("reading annotation %s of the LogicalCluster stored as %q: %w", Annotation, kv.Key, err)}
	}
	return made, lc.ObjectMeta, true, nil
}

// Data implements raw.Made.
func (i *instance) Data(part int) []byte { return i.template.Objects[part].render(i.values) }

// UID implements raw.Made.
func (i *instance) UID(part int) types.UID {
	return types.UID(i.template.Objects[part].uid(i.values))
}

// Revision implements raw.Made.
func (i *instance) Revision() int64 { return i.revision }

// Alike implements raw.Made.
func (i *instance) Alike(part int) *raw.Alike { return i.template.Objects[part].alike }

// object returns the object of the template that k is; nil if there is none.
func (i *instance) object(k layout.Key) *Object {
	at := i.part(k)
	if at < 0 {
		return nil
	}
	return &i.template.Objects[at]
}

// part returns the number of the object of the template that k is; negative if there is none.
func (i *instance) part(k layout.Key) int {
	if i == nil {
		return -1
	}
	return slices.IndexFunc(i.template.Objects, func(o Object) bool {
		return !k.Custom && k.Cluster == i.values.cluster && o.Resource == k.Resource.Resource && o.Group == k.Resource.Group && o.Namespace == k.Namespace &&
			(o.Name == k.Name || strings.Contains(o.Name, slotMark) && string(o.fill(o.Name, i.values)) == k.Name)
	})
}

// render returns o in a cluster as etcd would have it, for who reads values through the encryption.
func (c *Client) render(i *instance, o *Object) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key: []byte(c.path(o.key(i.values))), Value: c.encryption.Mark(o.render(i.values)),
		CreateRevision: i.revision, ModRevision: i.revision, Version: 1,
	}
}
