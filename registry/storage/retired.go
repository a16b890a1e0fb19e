package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// WithVersion returns a context in which custom resources are stored in version, whatever the version of the request: see [Backend.Retire].
func WithVersion(ctx context.Context, version string) context.Context {
	return layout.WithVersion(ctx, version)
}

// KeepingVersion returns a context in which a custom resource is only changed if it is stored in the version in which it is read.
func KeepingVersion(ctx context.Context) context.Context { return layout.KeepingVersion(ctx) }

// Retire has every later write fail that stores a custom resource in a version that is not to be used any more: see client.Retirement.
func (b *Backend) Retire(ctx context.Context, r client.Retirement) error {
	k := layout.Key{Custom: true, Resource: r.Resource, Bucket: r.Bucket, Cluster: r.Cluster}
	by := b.of(k).owners
	if by == nil {
		return apierrors.NewInternalError(errors.New("retiring a version: this storage does not know what objects belong to"))
	}
	revision, err := strconv.ParseInt(r.ResourceVersion, 10, 64)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("retiring a version: reading the resourceVersion of %s %q: %w", r.Owner, r.OwnerName, err))
	}
	return answer.Error(ctx, by.Retire(ctx, k, r.Version, owners.Retirement{Of: r.Owner.String(), Name: r.OwnerName, Revision: revision}), true)
}
