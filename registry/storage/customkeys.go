package storage

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// CustomObject is what is known of a custom resource without its schema. Its maps and slices are shared: do not change
// them.
type CustomObject struct {
	Resource          schema.GroupResource
	Bucket            string
	Cluster           logicalcluster.Name
	Namespace         string // empty for cluster-scoped objects
	Name              string
	UID               types.UID
	ResourceVersion   string
	Labels            map[string]string
	Finalizers        []string
	OwnerReferences   []metav1.OwnerReference
	DeletionTimestamp *metav1.Time
	// Damaged is whether the stored bytes cannot be read as an object; then nothing but the key is known.
	Damaged bool
}

// CustomKeys returns the custom resources of a cluster, or of one namespace of it unless namespace is empty, whatever
// their schemas, as they are now or later. They come grouped by resource and bucket, in key order.
func (b *Backend) CustomKeys(ctx context.Context, cluster logicalcluster.Name, namespace string) ([]CustomObject, error) {
	if !validSegment(string(cluster)) {
		return nil, fmt.Errorf("invalid cluster %q", cluster)
	}
	if err := b.catchUp(ctx); err != nil {
		return nil, apiError(ctx, err, false)
	}
	var found []CustomObject
	for _, s := range b.custom {
		for _, base := range s.bases() {
			prefix := base + "/" + string(cluster) + "/"
			if namespace != "" {
				prefix += namespace + "/"
			}
			list, err := s.list(ctx, prefix, apistorage.ListOptions{ResourceVersion: "0", Recursive: true})
			if err != nil {
				return nil, apiError(ctx, err, false)
			}
			for i := range list.Items {
				obj, err := customObject(&list.Items[i])
				if err != nil {
					return nil, err
				}
				found = append(found, obj)
			}
		}
	}
	return found, nil
}

func customObject(raw *Raw) (CustomObject, error) {
	k, err := parseKey(raw.Key())
	if err != nil {
		return CustomObject{}, err
	}
	return CustomObject{
		Resource:          k.resource,
		Bucket:            k.bucket,
		Cluster:           k.cluster,
		Namespace:         k.namespace,
		Name:              k.name,
		UID:               raw.GetUID(),
		ResourceVersion:   raw.GetResourceVersion(),
		Labels:            raw.GetLabels(),
		Finalizers:        raw.GetFinalizers(),
		OwnerReferences:   raw.GetOwnerReferences(),
		DeletionTimestamp: raw.GetDeletionTimestamp(),
		Damaged:           raw.Damaged(),
	}, nil
}

// catchUp waits until the caches of custom resources hold everything that is in etcd now.
func (b *Backend) catchUp(ctx context.Context) error {
	now, err := revision(ctx, b.client, b.prefix)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range b.custom {
		s.reach(uint64(now))
		group.Go(func() error {
			// Nothing has this prefix: what counts is the wait.
			_, err := s.list(ctx, s.root+"/~/", apistorage.ListOptions{
				ResourceVersion:      strconv.FormatInt(now, 10),
				ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
				Recursive:            true,
			})
			return err
		})
	}
	return group.Wait()
}
