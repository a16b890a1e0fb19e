package storage

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// CustomKeys returns the custom resources of a cluster, or of one namespace of it unless namespace is empty, whatever
// their schemas, as they are now or later. They come grouped by resource and bucket, in key order.
func (b *Backend) CustomKeys(ctx context.Context, cluster logicalcluster.Name, namespace string) ([]head.Head, error) {
	if !validSegment(string(cluster)) {
		return nil, fmt.Errorf("invalid cluster %q", cluster)
	}
	if err := b.catchUp(ctx); err != nil {
		return nil, apiError(ctx, err, false)
	}
	var found []head.Head
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
				found = append(found, list.Items[i].Head())
			}
		}
	}
	return found, nil
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
