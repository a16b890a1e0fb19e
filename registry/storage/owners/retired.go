package owners

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	bounded "github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// mostRetired is how many versions may be retired in a cluster. Before it is reached, those are removed whose owner is gone.
const mostRetired = 1000

// Retired is the resource under which it is stored in which versions custom resources of a cluster are not to be stored any more. They are no
// objects.
var Retired = schema.GroupResource{Group: "annex.dev", Resource: "retired"}

// RetiredKey returns the key that is there while no custom resource of the resource, the bucket and the cluster of k is to be stored in a version.
func RetiredKey(k layout.Key, version string) layout.Key {
	return layout.Key{Resource: Retired, Cluster: k.Cluster, Namespace: k.Resource.String(), Name: k.Bucket + ":" + version}
}

// RetiredOf returns what the keys of all versions begin with that are retired in a cluster.
func RetiredOf(cluster logicalcluster.Name) string {
	return layout.TypedRoot(Retired) + "/" + cluster.String() + "/"
}

// Retirement is why a version is retired: by an object that serves the resource in the cluster, as it was at a revision. It is what is stored.
type Retirement struct {
	// Of and Name are the resource and the name of the object: a CustomResourceDefinition or an APIBinding.
	Of   string `json:"of"`
	Name string `json:"name"`
	// Revision is the one that the object had.
	Revision int64 `json:"revision"`
}

// owner returns the key of the object.
func (r Retirement) owner(cluster logicalcluster.Name) layout.Key {
	return layout.Key{Resource: schema.ParseGroupResource(r.Of), Cluster: cluster, Name: r.Name}
}

// versionOf returns the version in which a change stores a custom resource; empty for other changes. If ctx does not say it, the bytes do, unless they
// are encrypted.
func versionOf(ctx context.Context, ch *change) (string, error) {
	if !ch.k.Custom || ch.deletes {
		return "", nil
	}
	if layout.KeepsVersion(ctx) && !ch.creates { // who looks for objects that are stored in that version finds this one before and after
		return "", nil
	}
	if version := layout.VersionFrom(ctx); version != "" {
		return version, nil
	}
	var object struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(ch.value, &object); err == nil {
		if _, version, ok := strings.Cut(object.APIVersion, "/"); ok && version != "" {
			return version, nil
		}
	}
	return "", apierrors.NewInternalError(fmt.Errorf("storing an object of %s: the request does not say in which version", ch.k.Resource))
}

// Retire has every later write fail that stores a custom resource of the resource, the bucket and the cluster of k in a version, as long as the
// object that r names has the revision that r names, or does not have the version among those in which objects are stored. So who reads that
// object, retires a version, finds no object that is stored in it, and then takes the version off the object if it still has the same revision, knows
// that there is none: a write that came before was found, and a later one fails.
func (c *Client) Retire(ctx context.Context, k layout.Key, version string, r Retirement) error {
	if owner := r.owner(k.Cluster); owner.Resource != Definitions && owner.Resource != Bindings || r.Name == "" || r.Revision <= 0 || version == "" {
		return apierrors.NewInternalError(fmt.Errorf("retiring version %q of %s: nothing serves it", version, k.Resource))
	}
	if err := c.roomForRetired(ctx, k.Cluster); err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var there []clientv3.Cmp
	if cluster := ClusterKey(k.Cluster); c.Home == nil && InCluster(k) { // package orphans finds what is left in another etcd
		there = append(there, clientv3.Compare(clientv3.CreateRevision(c.path(cluster)), ">", 0))
	}
	resp, err := c.KV.Txn(ctx).If(there...).Then(clientv3.OpPut(c.path(RetiredKey(k, version)), string(value))).Commit()
	if err != nil {
		return err
	}
	if !resp.Succeeded {
		return apierrors.NewNotFound(LogicalClusters, k.Cluster.String())
	}
	return nil
}

// roomForRetired removes what is of no use any more if too many versions are retired in a cluster. The error says that there are too many nevertheless.
func (c *Client) roomForRetired(ctx context.Context, cluster logicalcluster.Name) error {
	root := c.Prefix + RetiredOf(cluster)
	resp, err := c.KV.Get(ctx, root, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || resp.Count < mostRetired {
		return err
	}
	if resp, err = c.KV.Get(ctx, root, clientv3.WithPrefix()); err != nil {
		return err
	}
	left := len(resp.Kvs)
	for _, kv := range resp.Kvs {
		r, err := retirement(kv)
		if err != nil {
			return err
		}
		owner, err := c.home().whatIs(ctx, r.owner(cluster))
		if err != nil {
			return err
		}
		if owner != nil {
			continue
		}
		if err := c.reopen(ctx, kv); err != nil {
			return err
		}
		left--
	}
	if left >= mostRetired {
		return apierrors.NewForbidden(Retired, cluster.String(), fmt.Errorf("%d versions of resources are not used any more in this workspace, which is the most that can be noted", left))
	}
	return nil
}

func retirement(kv *mvccpb.KeyValue) (r Retirement, err error) {
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return r, apierrors.NewInternalError(fmt.Errorf("reading %q: %w", kv.Key, err))
	}
	return r, nil
}

// reopen removes a key of a retired version as it was read. Whoever retires the version again writes it anew.
func (c *Client) reopen(ctx context.Context, kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	_, err := c.KV.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)).Then(clientv3.OpDelete(key)).Commit()
	return err
}

// enter decides about a change that has found its version retired, by kv. It returns nil, and the version is not retired any more, if the object that
// serves the resource has changed since then and has objects stored in that version. The order counts: kv was read before that object.
func (c *Client) enter(ctx context.Context, ch *change, kv *mvccpb.KeyValue) error {
	r, err := retirement(kv)
	if err != nil {
		return err
	}
	owner, err := c.home().whatIs(ctx, r.owner(ch.k.Cluster))
	if err != nil {
		return err
	}
	if owner != nil {
		versions, err := c.home().storedVersions(ctx, r.owner(ch.k.Cluster), ch.k, owner)
		if err != nil {
			return err
		}
		if owner.ModRevision == r.Revision || !slices.Contains(versions, ch.version) {
			return retired(ch)
		}
	}
	return c.reopen(ctx, kv)
}

// retired is the answer to a write that comes with an old schema. The next try finds the current one.
func retired(ch *change) error {
	err := apierrors.NewServiceUnavailable(fmt.Sprintf("objects of %s are not stored in version %s any more in this workspace: try again with the current schema", ch.k.Resource, ch.version))
	err.ErrStatus.Code = http.StatusServiceUnavailable
	err.ErrStatus.Details = &metav1.StatusDetails{Group: ch.k.Resource.Group, Kind: ch.k.Resource.Resource, Name: ch.k.Name, RetryAfterSeconds: 1}
	return err
}

// whatIs returns what is at k now, stored or implied; nil if there is nothing.
func (c *Client) whatIs(ctx context.Context, k layout.Key) (*mvccpb.KeyValue, error) {
	resp, err := c.KV.Get(ctx, c.path(k))
	if err != nil {
		return nil, err
	}
	if len(resp.Kvs) > 0 {
		if kv := resp.Kvs[0]; !layout.IsTombstone(kv.Value) {
			return kv, nil
		}
		return nil, nil
	}
	if c.Implied == nil {
		return nil, nil
	}
	kv, ok, err := c.Implied.Look(ctx, k)
	if err != nil || !ok {
		return nil, err
	}
	return kv, nil
}

// storedVersions returns the versions in which custom resources of the resource and the bucket of k may be stored, as the object of the key owner says.
func (c *Client) storedVersions(ctx context.Context, owner, k layout.Key, kv *mvccpb.KeyValue) ([]string, error) {
	data, err := c.Encryption.Open(ctx, owner.Resource, kv)
	if err != nil {
		return nil, err
	}
	if owner.Resource == Definitions {
		var crd apiextensionsv1.CustomResourceDefinition
		bounded.Large(len(data), func() { err = readDefinition(data, &crd) })
		if err != nil {
			return nil, fmt.Errorf("reading the object stored as %q: %w", kv.Key, err)
		}
		return crd.Status.StoredVersions, nil
	}
	var binding struct {
		Status apisv1alpha2.APIBindingStatus `json:"status"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &binding); err != nil {
		return nil, fmt.Errorf("reading the object stored as %q: %w", kv.Key, err)
	}
	for _, bound := range binding.Status.BoundResources {
		if bound.Group == k.Resource.Group && bound.Resource == k.Resource.Resource && bound.Schema.IdentityHash == k.Bucket {
			return bound.StorageVersions, nil
		}
	}
	return nil, nil
}

// readDefinition reads a CustomResourceDefinition as it is stored: as protobuf, or as JSON.
func readDefinition(data []byte, crd *apiextensionsv1.CustomResourceDefinition) error {
	data, isProtobuf := bytes.CutPrefix(data, []byte(raw.ProtobufMagic))
	if !isProtobuf {
		return kjson.UnmarshalCaseSensitivePreserveInts(data, crd)
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(data); err != nil {
		return err
	}
	if envelope.APIVersion != apiextensionsv1.SchemeGroupVersion.String() {
		return fmt.Errorf("it has apiVersion %q", envelope.APIVersion)
	}
	return crd.Unmarshal(envelope.Raw)
}
