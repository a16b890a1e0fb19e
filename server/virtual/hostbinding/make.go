package hostbinding

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/serve"
)

const (
	// patience is how long a request waits for its workspace, and then asks the client to come back.
	patience = 20 * time.Second
	// makeInterval is how often it looks, and retryAfter when the client should come back, in seconds.
	makeInterval = 25 * time.Millisecond
	retryAfter   = 1
	// policyLag is how long the permissions that come with a new workspace may take to be known.
	policyLag = 3 * time.Second
)

// boundIn returns what cluster serves as gr; nil unless that is bound from the very export of the projection. Something
// else of that name is not shown, be it the workspace's own.
func (e *Endpoint) boundIn(ctx context.Context, cluster logicalcluster.Name, p *projection, gr schema.GroupResource) (*catalog.Served, error) {
	bound, err := serve.Lookup(ctx, e.Catalog, cluster, gr, func(r *catalog.Resource) bool { return r.Bucket == p.identity && !r.Typed })
	if err != nil {
		return nil, apierrors.NewServiceUnavailable("the resources of the workspace cannot be looked up right now, try again")
	}
	return bound, nil
}

// makeWorkspace returns the workspace of the request once it serves resource from the export, making on demand what is
// missing. Errors are API statuses that say what to do.
func (e *Endpoint) makeWorkspace(ctx context.Context, r *route, resource *catalog.Resource) (logicalcluster.Name, *catalog.Served, error) {
	p := r.projection
	if r.path.Empty() {
		return "", nil, apistatus.New(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("namespace %q maps to no workspace", r.info.Namespace))
	}
	bind := fmt.Sprintf("an APIBinding to APIExport %s", p.reference())
	cluster, exists, err := e.Clusters.Resolve(ctx, r.path)
	switch {
	case err != nil:
		return "", nil, apierrors.NewServiceUnavailable("the workspace cannot be looked up right now, try again")
	case p.create == nil && !exists:
		return "", nil, apistatus.New(http.StatusNotFound, metav1.StatusReasonNotFound,
			fmt.Sprintf("workspace %s does not exist: create it with %s, or set spec.workspace.create of HostBinding %s", r.path, bind, p.key.Name))
	case p.create == nil:
		return "", nil, apistatus.New(http.StatusConflict, metav1.StatusReasonConflict, fmt.Sprintf("workspace %s has no %s: create %s there", r.path, resource.GroupResource(), bind))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	made, err := e.ensureWorkspace(ctx, r, exists)
	if err != nil {
		return "", nil, err
	}
	if err := e.poll(ctx, func() (ok bool, err error) {
		if cluster, exists, err = e.Clusters.Resolve(ctx, r.path); err != nil || !exists {
			return false, err
		}
		phase, exists, err := e.Clusters.Phase(ctx, cluster)
		return exists && phase == string(corev1alpha1.LogicalClusterPhaseReady), err
	}); err != nil {
		return "", nil, comeBack(r, "is being created")
	}
	if err := e.authorize(ctx, r, cluster); err != nil {
		return "", nil, err
	}
	bound, err := e.boundIn(ctx, cluster, p, resource.GroupResource())
	if err != nil || bound != nil {
		return cluster, bound, err
	}
	if !made {
		return "", nil, apistatus.New(http.StatusConflict, metav1.StatusReasonConflict,
			fmt.Sprintf("workspace %s was not created for HostBinding %s and has no %s: create %s there", r.path, p.key.Name, resource.GroupResource(), bind))
	}
	if err := e.ensureBinding(ctx, cluster, p); err != nil {
		return "", nil, err
	}
	if err := e.poll(ctx, func() (bool, error) {
		bound, err = e.boundIn(ctx, cluster, p, resource.GroupResource())
		return bound != nil, err
	}); err != nil {
		return "", nil, comeBack(r, "does not serve "+resource.GroupResource().String()+" yet")
	}
	return cluster, bound, nil
}

// poll waits until ok; errors of a single look do not count. Controllers do the work meanwhile, so the workspace may use the seat of
// the request for others.
func (e *Endpoint) poll(ctx context.Context, ok func() (bool, error)) error {
	return fairness.Waiting(ctx, func() error {
		return wait.PollUntilContextCancel(ctx, makeInterval, true, func(context.Context) (bool, error) {
			done, err := ok()
			return done && err == nil, nil
		})
	})
}

// comeBack is the answer while a workspace is not ready. Nothing was written, and clients try again by themselves.
func comeBack(r *route, what string) error {
	err := apierrors.NewServiceUnavailable(fmt.Sprintf("workspace %s %s, try again", r.path, what))
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: retryAfter}
	return err
}

// ensureWorkspace makes the Workspace at the path of the request, and reports whether it was made on demand of the same
// HostBinding, now or before.
func (e *Endpoint) ensureWorkspace(ctx context.Context, r *route, exists bool) (made bool, err error) {
	parentPath, name := r.path.Split()
	parent, found, err := e.Clusters.Resolve(ctx, parentPath)
	if err != nil {
		return false, apierrors.NewServiceUnavailable("the workspace cannot be looked up right now, try again")
	}
	if !found {
		return false, apistatus.New(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("workspace %s does not exist, so workspace %s cannot be created in it", parentPath, name))
	}
	key := client.Key{Cluster: parent, Name: name}
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, e.Live, workspaces, key)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	if ws == nil && !exists {
		return true, e.createWorkspace(ctx, r, key)
	}
	return ws != nil && ws.Annotations[annexv1alpha1.HostBindingAnnotationKey] == r.projection.key.Name, nil
}

// createWorkspace makes a Workspace: as the server if the host's decision is enough, and otherwise as the user. RBAC of the parent
// must then allow the user to create it, and the user becomes its administrator as of any other. In both cases the barriers of the parent
// apply, such as its required groups: nobody makes a workspace that they could not enter. system:masters make it as the server, because
// admission would let them leave out what the workspace inherits.
func (e *Endpoint) createWorkspace(ctx context.Context, r *route, key client.Key) error {
	p := r.projection
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: key.Name}}
	ws.Spec.Type = p.create.Type.DeepCopy()
	u, _ := genericapirequest.UserFrom(ctx)
	at := logicalcluster.WithCluster(audit.WithAuditContext(ctx), key.Cluster)
	var allowed bool
	writer := e.Writer
	if p.byHost {
		attributes, err := filters.GetAuthorizerAttributes(ctx)
		allowed = err == nil && e.allows(at, p, attributes)
	} else {
		verdict, _, err := e.Policy.Authorize(plain(at), authorizer.AttributesRecord{
			User: u, Verb: "create", APIGroup: tenancyv1alpha1.GroupName, APIVersion: tenancyv1alpha1.SchemeGroupVersion.Version,
			Resource: workspaces.Resource, ResourceRequest: true,
		})
		allowed = err == nil && verdict == authorizer.DecisionAllow
		if !policy.Master(u, p.key.Cluster) {
			writer = e.As(u)
		}
	}
	if !allowed {
		return apierrors.NewForbidden(workspaces, key.Name, fmt.Errorf("workspace %s does not exist, and the user may not create it", r.path))
	}
	if _, err := writer.Create(ctx, workspaces, key.Cluster, ws); err != nil && !apierrors.IsAlreadyExists(err) {
		return asStatus(err, "creating workspace "+r.path.String())
	}
	return e.mark(ctx, key, p.key.Name)
}

// mark notes on a Workspace which HostBinding it was made for, so that the rest can be made now or by a later request.
func (e *Endpoint) mark(ctx context.Context, key client.Key, binding string) error {
	for {
		ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, e.Live, workspaces, key)
		if err != nil || ws == nil || ws.Annotations[annexv1alpha1.HostBindingAnnotationKey] != "" {
			return asStatus(err, "reading the new workspace")
		}
		marked := ws.DeepCopy()
		marked.Annotations = maps.Clone(ws.Annotations)
		if marked.Annotations == nil {
			marked.Annotations = map[string]string{}
		}
		marked.Annotations[annexv1alpha1.HostBindingAnnotationKey] = binding
		if _, err := e.Writer.Update(ctx, workspaces, key.Cluster, marked); !apierrors.IsConflict(err) || ctx.Err() != nil {
			return asStatus(err, "annotating the new workspace")
		}
	}
}

// authorize asks again, now that the workspace exists: the front door did not know it. What comes with a new workspace, such as the
// rights of its owner, may be a moment late.
func (e *Endpoint) authorize(ctx context.Context, r *route, cluster logicalcluster.Name) error {
	attributes, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	at := logicalcluster.WithCluster(audit.WithAuditContext(ctx), cluster)
	if err := wait.PollUntilContextTimeout(ctx, makeInterval, policyLag, true, func(context.Context) (bool, error) {
		return e.allows(at, r.projection, attributes), nil
	}); err != nil {
		return apierrors.NewForbidden(schema.GroupResource{Group: r.info.APIGroup, Resource: r.info.Resource}, r.info.Name, errors.New("access denied"))
	}
	return nil
}

// ensureBinding binds the export in a workspace that was made for it. Its author was asked for the permission to do so.
func (e *Endpoint) ensureBinding(ctx context.Context, cluster logicalcluster.Name, p *projection) error {
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: p.export.Name}}
	binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: p.export.Cluster.String(), Name: p.export.Name}
	if _, err := e.Writer.Create(ctx, bindings, cluster, binding); err != nil && !apierrors.IsAlreadyExists(err) {
		return asStatus(err, "binding APIExport "+p.reference())
	}
	return nil
}

// ensureNamespace makes the namespace of the object of a request, if the HostBinding makes workspaces.
func (e *Endpoint) ensureNamespace(ctx context.Context, cluster logicalcluster.Name, name string) error {
	ns, err := client.Find[corev1.Namespace](ctx, e.Cached, namespaces, client.Key{Cluster: cluster, Name: name})
	if err != nil || ns != nil {
		return asStatus(err, "reading namespace "+name)
	}
	if _, err := e.Writer.Create(ctx, namespaces, cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil && !apierrors.IsAlreadyExists(err) {
		return asStatus(err, "creating namespace "+name)
	}
	return nil
}

// asStatus returns err as an API status that says what was being done; nil for nil.
func asStatus(err error, doing string) error {
	if err == nil {
		return nil
	}
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		return apierrors.NewInternalError(fmt.Errorf("%s: %w", doing, err))
	}
	answer := known.Status()
	answer.Message = doing + ": " + answer.Message
	return &apierrors.StatusError{ErrStatus: answer}
}
