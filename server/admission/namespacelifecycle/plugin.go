package namespacelifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/admission"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
)

// PluginName names the plugin in messages and metrics.
const PluginName = "WorkspaceNamespaceLifecycle"

// After the plugin admits the deletion of a namespace, it reads that namespace from etcd for some time, because the cache may be
// outdated. These are the number of such namespaces, and the time.
const (
	recentDeletions = 1000
	recentFor       = 30 * time.Second
)

// Plugin ties objects to their namespace. It is safe for concurrent use.
type Plugin struct {
	*admission.Handler
	cached, live client.Reader
	// deleted contains the client.Key of namespaces whose deletion was admitted here.
	deleted *cache.LRUExpireCache
}

var (
	_ admission.MutationInterface       = &Plugin{}
	_ admission.InitializationValidator = &Plugin{}
)

// New returns the plugin. It reads cached first. live must see every acknowledged write; it is read before a
// request is refused.
func New(cached, live client.Reader) *Plugin {
	return &Plugin{
		Handler: admission.NewHandler(admission.Create, admission.Delete),
		cached:  cached,
		live:    live,
		deleted: cache.NewLRUExpireCache(recentDeletions),
	}
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.cached == nil || p.live == nil {
		return errors.New(PluginName + " needs readers")
	}
	return nil
}

func namespaces() schema.GroupResource { return schema.GroupResource{Resource: "namespaces"} }

// Admit implements admission.MutationInterface, so that requests are refused before any other check. It changes
// nothing. It returns NotFound if the namespace is missing, and Forbidden if it is terminating or must not be deleted. A namespace that
// changes later is the concern of storage.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	resource := a.GetResource().GroupResource()
	isNamespace := resource == namespaces()
	switch {
	case isNamespace && (a.GetOperation() != admission.Delete || a.GetSubresource() != ""):
		return nil
	case !isNamespace && (a.GetOperation() != admission.Create || a.GetNamespace() == ""):
		return nil
	case storage.InTemplate(ctx):
		return nil // the namespace is part of it
	case resource == schema.GroupResource{Group: authorizationv1.GroupName, Resource: "localsubjectaccessreviews"}:
		// A refusal would reveal which namespaces exist to users who only ask for their permissions.
		return nil
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("checking the namespace of %s: the request names no logical cluster", resource))
	}
	if isNamespace {
		return p.admitDeletion(ctx, a, cluster)
	}
	return p.admitContent(ctx, a, cluster)
}

// admitContent refuses objects in a namespace that is missing or terminating.
func (p *Plugin) admitContent(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name) error {
	key := client.Key{Cluster: cluster, Name: a.GetNamespace()}
	if len(apivalidation.ValidateNamespaceName(key.Name, false)) > 0 {
		// Storage refuses such a name, and the response would be an internal error.
		return apierrors.NewNotFound(namespaces(), key.Name)
	}
	first := p.cached
	_, recent := p.deleted.Get(key)
	if recent {
		first = p.live
	}
	var ns *corev1.Namespace
	err := client.LookTwice(first, p.live, func(from client.Reader) (enough bool, err error) {
		ns, err = client.Find[corev1.Namespace](ctx, from, namespaces(), key)
		return recent || (ns != nil && !terminating(ns)), err
	})
	switch {
	case err != nil:
		return apistatus.Internal(err)
	case ns == nil:
		return apierrors.NewNotFound(namespaces(), key.Name)
	case !terminating(ns):
		return nil
	}
	refusal := admission.NewForbidden(a, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", key.Name))
	var status *apierrors.StatusError
	if errors.As(refusal, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", key.Name),
			Field:   "metadata.namespace",
		})
	}
	return refusal
}

func terminating(ns *corev1.Namespace) bool { return ns.Status.Phase == corev1.NamespaceTerminating }

// admitDeletion refuses to delete a namespace that the cluster needs, while the cluster exists.
func (p *Plugin) admitDeletion(ctx context.Context, a admission.Attributes, cluster logicalcluster.Name) error {
	switch a.GetName() {
	case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
		goes, err := p.goes(ctx, cluster)
		if err != nil {
			return err
		}
		if !goes {
			return apierrors.NewForbidden(namespaces(), a.GetName(), errors.New("this namespace may not be deleted"))
		}
	}
	if !a.IsDryRun() {
		p.deleted.Add(client.Key{Cluster: cluster, Name: a.GetName()}, true, recentFor)
	}
	return nil
}

// goes reports whether the cluster itself is being deleted. The server's own clusters have no
// LogicalCluster and are never deleted.
func (p *Plugin) goes(ctx context.Context, cluster logicalcluster.Name) (bool, error) {
	key := client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName}
	goes := false
	err := client.LookTwice(p.cached, p.live, func(from client.Reader) (bool, error) {
		lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, from, corev1alpha1.Resource("logicalclusters"), key)
		goes = lc != nil && lc.DeletionTimestamp != nil
		return goes, err
	})
	if err != nil {
		return false, apistatus.Internal(err)
	}
	return goes, nil
}
