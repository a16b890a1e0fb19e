package defaultbinding

import (
	"context"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

const (
	// knownFor is how long types are not read again; mostKnown is how many are known at most.
	knownFor  = 100 * time.Millisecond
	mostKnown = 1024
)

// known remembers the aliases of types for a moment, because most workspaces have the same few types. It is safe for concurrent use.
type known struct {
	mu    sync.Mutex
	types map[string]aliases
}

// aliases are the types that workspaces of one type have; none of them if it cannot be resolved.
type aliases struct {
	all   []*typeresolution.Type
	until time.Time
}

func (k *known) get(name string, now time.Time) ([]*typeresolution.Type, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.types[name]
	return a.all, ok && now.Before(a.until)
}

func (k *known) set(name string, all []*typeresolution.Type, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.types == nil || len(k.types) >= mostKnown {
		k.types = map[string]aliases{}
	}
	k.types[name] = aliases{all, now.Add(knownFor)}
}

// forget makes the next look at a type read it.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.types = nil
}

// maintained returns the default bindings that the workspace of lc maintains. There are none while it is created or deleted.
func (r *reconciler) maintained(ctx context.Context, lc *corev1alpha1.LogicalCluster) ([]typeresolution.DefaultBinding, error) {
	switch lc.Status.Phase {
	case "", corev1alpha1.LogicalClusterPhaseScheduling, corev1alpha1.LogicalClusterPhaseInitializing:
		return nil, nil
	}
	path, name, ok := typeresolution.ParseQualified(lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey])
	if !ok || lc.DeletionTimestamp != nil {
		return nil, nil
	}
	all, err := r.aliases(ctx, path, name)
	if err != nil {
		return nil, err
	}
	return typeresolution.Maintained(typeresolution.Followed(lc, all)), nil
}

// aliases returns a type and all that it extends; none if one of them does not exist, or they are in a circle.
func (r *reconciler) aliases(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) ([]*typeresolution.Type, error) {
	id, now := path.Join(string(name)).String(), r.Clock.Now()
	if all, ok := r.known.get(id, now); ok {
		return all, nil
	}
	var failed error
	get := func(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
		t, err := r.workspaceType(ctx, path, name)
		if err != nil && !apierrors.IsNotFound(err) {
			failed = err
		}
		return t, err
	}
	var all []*typeresolution.Type
	t, err := get(ctx, path, name)
	if err == nil {
		all, err = typeresolution.Aliases(ctx, t, get)
	}
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		all = nil // whoever changes a type in the chain makes this be looked at again
	}
	r.known.set(id, all, now)
	return all, nil
}

// workspaceType implements typeresolution.Getter.
func (r *reconciler) workspaceType(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
	cluster, found, err := r.Resolver.Resolve(ctx, path)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, apierrors.NewNotFound(workspaceTypes, path.Join(string(name)).String())
	}
	t, err := client.Find[typeresolution.Type](ctx, r.Client, workspaceTypes, client.Key{Cluster: cluster, Name: string(name)})
	if t == nil && err == nil {
		err = apierrors.NewNotFound(workspaceTypes, string(name))
	}
	return t, err
}

// needs reports whether a default binding of the workspace of lc is missing or differs.
func (r *reconciler) needs(ctx context.Context, lc *corev1alpha1.LogicalCluster) (bool, error) {
	wanted, err := r.maintained(ctx, lc)
	if err != nil {
		return false, err
	}
	for _, w := range wanted {
		cluster := logicalcluster.From(lc)
		binding, err := client.Find[apisv1alpha2.APIBinding](ctx, r.Client, apiBindings, client.Key{Cluster: cluster, Name: w.Binding(cluster).Name})
		if err != nil {
			return false, err
		}
		if binding == nil || differs(binding) {
			return true, nil
		}
	}
	return false, nil
}

// differs reports whether a default binding does not accept exactly what its export claims. One that is being deleted is as it is.
func differs(binding *apisv1alpha2.APIBinding) bool {
	return binding.DeletionTimestamp == nil &&
		!apiequality.Semantic.DeepEqual(binding.Spec.PermissionClaims, claims.AcceptAll(binding.Status.ExportPermissionClaims))
}
