package hostbinding

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/apiservice"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// unregistering is the pause between two checks whether the host has removed a group version.
	unregistering = 200 * time.Millisecond
	// elsewhere is the interval of checks for changes without an event here, such as a new workspace.
	elsewhere = 5 * time.Second
)

var (
	hostBindings = annexv1alpha1.Resource("hostbindings")
	exports      = apisv1alpha2.Resource("apiexports")
	bindings     = apisv1alpha2.Resource("apibindings")
	schemas      = apisv1alpha1.Resource("apiresourceschemas")
)

// Registrar registers group versions with the host; controllers/apiservice.Registrar is one.
type Registrar interface {
	// Want replaces the group versions that owner wants to register.
	Want(owner string, gvs []schema.GroupVersion)
	// State returns the state of a group version.
	State(gv schema.GroupVersion) apiservice.State
	// OnChange calls f when a state has changed.
	OnChange(f func()) (remove func())
}

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Workspace is the host workspace. HostBindings in other workspaces have no effect.
	Workspace logicalcluster.Path
	// Registrar is nil if this server does not manage APIServices of the host.
	Registrar Registrar
}

// Specs describes the controller. It processes one HostBinding at a time, because it decides which HostBinding gets a group version.
func Specs(c Config) []multicluster.Spec {
	r := &reconciler{Config: c}
	return []multicluster.Spec{{
		Name: "hostbinding",
		Watches: []multicluster.Watch{
			{Resource: hostBindings, Keys: r.every},
			{Resource: exports, Keys: r.every},
			{Resource: schemas, Keys: r.every},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.followRegistrar},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct{ Config }

// every returns all HostBindings: there are few, and a change of one affects the others.
func (r *reconciler) every(ctx context.Context, event client.Event) ([]client.Key, error) {
	keys, err := r.all(ctx)
	if gone := event.Object; event.Type == client.Deleted {
		if b, ok := gone.(*annexv1alpha1.HostBinding); ok {
			keys = append(keys, client.KeyOf(b))
		}
	}
	return keys, err
}

func (r *reconciler) all(ctx context.Context) ([]client.Key, error) {
	objects, err := r.Client.List(ctx, hostBindings, client.Scope{})
	if err != nil {
		return nil, err
	}
	keys := make([]client.Key, 0, len(objects))
	for _, obj := range objects {
		keys = append(keys, client.KeyOf(obj))
	}
	return keys, nil
}

// followRegistrar queues all HostBindings when something has changed on the host.
func (r *reconciler) followRegistrar(ctx context.Context, add func(client.Key, time.Duration)) {
	if r.Registrar == nil {
		return
	}
	remove := r.Registrar.OnChange(func() {
		keys, err := r.all(ctx)
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Listing the HostBindings after a change on the host")
		}
		for _, key := range keys {
			add(key, 0)
		}
	})
	<-ctx.Done()
	remove()
}

// ownerOf returns the owner name of a HostBinding at the Registrar.
func ownerOf(key client.Key) string { return "hostbinding/" + key.Name }

func (r *reconciler) want(key client.Key, gvs []schema.GroupVersion) {
	if r.Registrar != nil {
		r.Registrar.Want(ownerOf(key), gvs)
	}
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	host, found, err := r.Resolver.Resolve(ctx, r.Workspace)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("finding the host workspace: %w", err)
	}
	if !found || host != key.Cluster {
		return reconcile.Result{}, nil
	}
	old, err := client.Find[annexv1alpha1.HostBinding](ctx, r.Client, hostBindings, key)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case old == nil:
		r.want(key, nil)
		return reconcile.Result{}, nil
	case old.DeletionTimestamp != nil:
		return r.unregister(ctx, key, old)
	}
	binding := old.DeepCopy()
	gvs, err := r.fill(ctx, key, binding)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !apiequality.Semantic.DeepEqual(old, binding) {
		// Register only after all servers know the status: the event of this write triggers the registration.
		return r.write(ctx, key, binding)
	}
	r.want(key, gvs)
	if !conditionsv1alpha1.IsTrue(binding, conditionsv1alpha1.ReadyCondition) {
		return reconcile.Result{RequeueAfter: elsewhere}, nil
	}
	return reconcile.Result{}, nil
}

// unregister removes the finalizer of a HostBinding when the host no longer forwards requests for it.
func (r *reconciler) unregister(ctx context.Context, key client.Key, old *annexv1alpha1.HostBinding) (reconcile.Result, error) {
	r.want(key, nil)
	if !slices.Contains(old.Finalizers, annexv1alpha1.HostBindingFinalizer) {
		return reconcile.Result{}, nil
	}
	for _, version := range old.Status.GroupVersions {
		gv, err := schema.ParseGroupVersion(version.Name)
		if err != nil || r.Registrar == nil || version.State == annexv1alpha1.HostGroupVersionConflict {
			continue
		}
		if phase := r.Registrar.State(gv).Phase; phase == apiservice.Registered || phase == apiservice.Available {
			return reconcile.Result{RequeueAfter: unregistering}, nil
		}
	}
	binding := old.DeepCopy()
	binding.Finalizers = slices.DeleteFunc(binding.Finalizers, func(f string) bool { return f == annexv1alpha1.HostBindingFinalizer })
	return r.write(ctx, key, binding)
}

func (r *reconciler) write(ctx context.Context, key client.Key, binding *annexv1alpha1.HostBinding) (reconcile.Result, error) {
	_, err := r.Client.Update(ctx, hostBindings, key.Cluster, binding)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating HostBinding %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}
