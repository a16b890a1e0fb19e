package hostnamespace

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// retryAfter is when a client should come back while an outdated Namespace is being deleted, in seconds.
const retryAfter = 1

var namespaces = schema.GroupResource{Resource: "namespaces"}

// Lookup returns a namespace of the host; NotFound if there is none.
type Lookup func(ctx context.Context, name string) (*corev1.Namespace, error)

// Config contains the dependencies of the plugin. Everything is required except Lookup.
type Config struct {
	// Concerns reports whether objects of a resource are tied to namespaces of the host.
	Concerns func(schema.GroupResource) bool
	// Hosts reports whether the host shows a cluster as its own.
	Hosts func(logicalcluster.Name) bool
	// ByHost reports whether the host has allowed the request: it has forwarded it, for a resource that it shows as its own.
	ByHost func(ctx context.Context, u user.Info) bool
	// Lookup is nil if the host cannot be asked. Then nothing is created.
	Lookup Lookup
	// Cached is read first. Writer writes as the server; it is called when it is needed.
	Cached client.Reader
	Writer func() client.Writer
	// Next ties objects to the Namespaces of their workspace.
	Next admission.Interface
}

// Plugin ties objects to namespaces of the host. It is safe for concurrent use.
type Plugin struct{ Config }

var _ interface {
	admission.MutationInterface
	admission.ValidationInterface
} = &Plugin{}

// New returns the plugin. The error names the field that is missing.
func New(c Config) (*Plugin, error) {
	for field, missing := range map[string]bool{
		"Concerns": c.Concerns == nil, "Hosts": c.Hosts == nil, "ByHost": c.ByHost == nil, "Cached": c.Cached == nil, "Writer": c.Writer == nil, "Next": c.Next == nil,
	} {
		if missing {
			return nil, errors.New("hostnamespace: " + field + " is missing")
		}
	}
	return &Plugin{c}, nil
}

// Handles implements admission.Interface.
func (p *Plugin) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update || p.Next.Handles(operation)
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if request.Is(a, a.GetResource().GroupResource()) && p.Concerns(a.GetResource().GroupResource()) && a.GetOperation() != admission.Delete {
		done, err := p.admit(ctx, a)
		if done || err != nil {
			return err
		}
	}
	if next, ok := p.Next.(admission.MutationInterface); ok && p.Next.Handles(a.GetOperation()) {
		return next.Admit(ctx, a, o)
	}
	return nil
}

// admit writes the annotation. It reports whether the Namespace needs no further look.
func (p *Plugin) admit(ctx context.Context, a admission.Attributes) (done bool, err error) {
	at, err := p.at(ctx, a)
	if err != nil {
		return false, err
	}
	if a.GetOperation() == admission.Update {
		old, err := annotated(a.GetOldObject())
		if err != nil {
			return false, err
		}
		return false, annotate(a.GetObject(), old)
	}
	if !at {
		return false, annotate(a.GetObject(), "")
	}
	ns, err := p.find(ctx, a)
	if err != nil {
		return false, err
	}
	// The server says for which namespace it creates something. It may have had the same name earlier, and what belongs to it must not reach others.
	if given, err := annotated(a.GetObject()); err != nil || request.IsMaster(a) && given != "" && given != string(ns.UID) {
		return false, admission.NewForbidden(a, fmt.Errorf("namespace %s of the host is another one now than the one that this is for", ns.Name))
	}
	if err := annotate(a.GetObject(), string(ns.UID)); err != nil || a.IsDryRun() {
		return true, err // a dry run stores nothing, so it needs no Namespace
	}
	return false, p.ensure(ctx, ns)
}

// at reports whether the request is for the host workspace. The error is Forbidden if the host has not allowed it.
func (p *Plugin) at(ctx context.Context, a admission.Attributes) (bool, error) {
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	switch {
	case !p.Hosts(cluster):
		return false, nil
	case !request.IsMaster(a) && !p.ByHost(ctx, a.GetUserInfo()):
		return false, admission.NewForbidden(a, fmt.Errorf("in the host workspace, the namespace of %s is a namespace of the host: write it on the host", a.GetResource().GroupResource()))
	}
	return true, nil
}

// find returns the namespace of the host that the object is for. Errors are API statuses.
func (p *Plugin) find(ctx context.Context, a admission.Attributes) (*corev1.Namespace, error) {
	name := a.GetNamespace()
	if len(apivalidation.ValidateNamespaceName(name, false)) > 0 {
		return nil, apierrors.NewNotFound(namespaces, name)
	}
	if p.Lookup == nil {
		return nil, apierrors.NewServiceUnavailable("the host cannot be asked for the namespace: the server has no kubeconfig for the host")
	}
	ns, err := p.Lookup(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, apierrors.NewNotFound(namespaces, name)
	case apierrors.IsForbidden(err):
		return nil, admission.NewForbidden(a, fmt.Errorf("the server may not read namespace %s of the host: an administrator of the host must allow it", name))
	case err != nil:
		klog.FromContext(ctx).Error(err, "A namespace of the host could not be read", "namespace", name)
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("namespace %s of the host cannot be looked up right now, try again", name))
	case ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating:
		return nil, terminating(a, name)
	}
	return ns, nil
}

// terminating returns the error of Kubernetes for objects in a namespace that is being deleted.
func terminating(a admission.Attributes, name string) error {
	refusal := admission.NewForbidden(a, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", name))
	var status *apierrors.StatusError
	if errors.As(refusal, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", name),
			Field:   "metadata.namespace",
		})
	}
	return refusal
}

// ensure creates the Namespace in the host workspace, if there is none. One that was created for an earlier namespace of the host is deleted
// first: what is in it belongs to that one.
func (p *Plugin) ensure(ctx context.Context, host *corev1.Namespace) error {
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	key := client.Key{Cluster: cluster, Name: host.Name}
	ns, err := client.Find[corev1.Namespace](ctx, p.Cached, namespaces, key)
	if err != nil {
		return apistatus.Internal(err)
	}
	if ns == nil {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: host.Name, Labels: map[string]string{annexv1alpha1.HostNamespaceLabelKey: string(host.UID)}}}
		if _, err := p.Writer().Create(ctx, namespaces, cluster, made); err != nil && !apierrors.IsAlreadyExists(err) {
			return apistatus.Internal(fmt.Errorf("creating namespace %s in the host workspace: %w", host.Name, err))
		}
		return nil
	}
	if of := ns.Labels[annexv1alpha1.HostNamespaceLabelKey]; of == "" || of == string(host.UID) {
		return nil
	}
	if err := p.Writer().Delete(ctx, namespaces, key, &metav1.Preconditions{UID: &ns.UID}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return apistatus.Internal(fmt.Errorf("deleting the outdated namespace %s of the host workspace: %w", host.Name, err))
	}
	busy := apistatus.New(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
		fmt.Sprintf("what belonged to an earlier namespace %s of the host is being deleted, try again", host.Name))
	busy.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: retryAfter}
	return busy
}

// Validate implements admission.ValidationInterface. It makes sure that nobody has changed the annotation since, and that the namespace of
// the host is still there.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if request.Is(a, a.GetResource().GroupResource()) && p.Concerns(a.GetResource().GroupResource()) && a.GetOperation() != admission.Delete {
		if err := p.validate(ctx, a); err != nil {
			return err
		}
	}
	if next, ok := p.Next.(admission.ValidationInterface); ok && p.Next.Handles(a.GetOperation()) {
		return next.Validate(ctx, a, o)
	}
	return nil
}

func (p *Plugin) validate(ctx context.Context, a admission.Attributes) error {
	at, err := p.at(ctx, a)
	if err != nil {
		return err
	}
	want := ""
	switch {
	case a.GetOperation() == admission.Update:
		want, err = annotated(a.GetOldObject())
	case at:
		var ns *corev1.Namespace
		if ns, err = p.find(ctx, a); err == nil {
			want = string(ns.UID)
		}
	}
	if err != nil {
		return err
	}
	if got, err := annotated(a.GetObject()); err != nil || got != want {
		return admission.NewForbidden(a, fmt.Errorf("only the server writes the annotation %s", annexv1alpha1.HostNamespaceUIDAnnotationKey))
	}
	return nil
}

// annotated returns the UID of the namespace of the host that obj belongs to; empty if none.
func annotated(obj any) (string, error) {
	object, err := meta.Accessor(obj)
	if err != nil {
		return "", apierrors.NewInternalError(err)
	}
	return object.GetAnnotations()[annexv1alpha1.HostNamespaceUIDAnnotationKey], nil
}

// annotate notes on obj, which the request owns, to which namespace of the host it belongs; empty for none.
func annotate(obj any, uid string) error {
	object, err := meta.Accessor(obj)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	annotations := object.GetAnnotations()
	if annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] == uid {
		return nil
	}
	if uid == "" {
		delete(annotations, annexv1alpha1.HostNamespaceUIDAnnotationKey)
		return nil
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = uid
	object.SetAnnotations(annotations)
	return nil
}
