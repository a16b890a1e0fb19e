package rbac

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// check decides whether the user in ctx may write obj; old is nil on create. It returns an API status.
type check func(ctx context.Context, obj, old runtime.Object) error

// guarded is the storage for users.
type guarded struct {
	*kinds.REST
	check check
}

var (
	_ rest.StandardStorage     = &guarded{}
	_ rest.ResetFieldsStrategy = &guarded{}
)

// Create implements rest.Creater. It checks the object when a generated name is in it.
func (g *guarded) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return g.REST.Create(ctx, obj, func(ctx context.Context, obj runtime.Object) error {
		if err := g.check(ctx, obj, nil); err != nil || validate == nil {
			return err
		}
		return validate(ctx, obj)
	}, options)
}

// Update implements rest.Updater. In every attempt, it checks the object that is about to be written.
func (g *guarded) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	checked := rest.WrapUpdatedObjectInfo(objInfo, func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		existing, ok := old.(client.Object)
		if !ok || existing.GetUID() == "" {
			// The object will be created, and the old object is an empty one.
			return obj, g.check(ctx, obj, nil)
		}
		if onlyHousekeeping(obj, old) {
			return obj, nil
		}
		return obj, g.check(ctx, obj, old)
	})
	return g.REST.Update(ctx, name, checked, createValidation, updateValidation, forceAllowCreate, options)
}

// onlyHousekeeping reports whether an update changes only owner references and finalizers. Clients that clean up need this, whatever
// the role grants.
func onlyHousekeeping(obj, old runtime.Object) bool {
	a, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return false
	}
	b, ok := old.(client.Object)
	if !ok {
		return false
	}
	a.SetOwnerReferences(b.GetOwnerReferences())
	a.SetFinalizers(b.GetFinalizers())
	a.SetManagedFields(b.GetManagedFields())
	return apiequality.Semantic.DeepEqual(a, b)
}

// checks contains the checks of the four kinds.
type checks struct {
	evaluator *policy.Evaluator
}

// writer is the user who writes, and the cluster.
type writer struct {
	user    user.Info
	cluster logicalcluster.Name
}

func writerFrom(ctx context.Context) (writer, error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return writer{}, apierrors.NewInternalError(errors.New("the request has no user"))
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return writer{}, apierrors.NewInternalError(errors.New("the request names no logical cluster"))
	}
	return writer{user: u, cluster: cluster}, nil
}

func (c checks) role(ctx context.Context, obj, old runtime.Object) error {
	role, ok := obj.(*rbacv1.Role)
	if !ok {
		return unexpected(obj)
	}
	w, err := writerFrom(ctx)
	if err != nil {
		return err
	}
	namespace := role.Namespace
	if namespace == "" {
		namespace = genericapirequest.NamespaceValue(ctx)
	}
	return c.rules(ctx, w, namespace, "roles", role.Name, old != nil, role.Rules)
}

func (c checks) clusterRole(ctx context.Context, obj, old runtime.Object) error {
	role, ok := obj.(*rbacv1.ClusterRole)
	if !ok {
		return unexpected(obj)
	}
	w, err := writerFrom(ctx)
	if err != nil {
		return err
	}
	if old == nil {
		if err := c.free(ctx, w, role.Name); err != nil {
			return err
		}
	}
	if err := c.rules(ctx, w, "", "clusterroles", role.Name, old != nil, role.Rules); err != nil {
		return err
	}
	if err := c.inherit(ctx, w, "clusterroles", role); err != nil {
		return err
	}
	before, _ := old.(*rbacv1.ClusterRole)
	if role.AggregationRule == nil || (before != nil && apiequality.Semantic.DeepEqual(role.AggregationRule, before.AggregationRule)) {
		return nil
	}
	// Its rules depend on labels that other users may set later.
	return c.rules(ctx, w, "", "clusterroles", role.Name, old != nil, policy.Everything())
}

// free returns an error if name is that of a role of the system, which a ClusterRole of the writer's cluster must not have. Only
// an operator creates such roles, in system:admin, or in root, where some are stored.
func (c checks) free(ctx context.Context, w writer, name string) error {
	switch {
	case w.cluster == logicalcluster.SystemAdmin:
		return nil
	case w.cluster == logicalcluster.Root && policy.Master(w.user, w.cluster):
		return nil
	}
	taken, err := c.evaluator.Taken(ctx, name)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read to see whether the name of a role is taken", "cluster", w.cluster)
		return apierrors.NewServiceUnavailable(policy.ErrUnread.Error())
	}
	if !taken {
		return nil
	}
	return apierrors.NewInvalid(rbacv1.SchemeGroupVersion.WithKind("ClusterRole").GroupKind(), name, field.ErrorList{
		field.Forbidden(field.NewPath("metadata", "name"), "this name is reserved for a role of the system, which has the same rules in "+
			"every workspace: choose another name, without the prefix \"system:\""),
	})
}

// rules returns an error unless the user has the permissions in rules, or may escalate the role. As in Kubernetes, the check of a new
// role has no name.
func (c checks) rules(ctx context.Context, w writer, namespace, resource, name string, exists bool, rules []rbacv1.PolicyRule) error {
	escalated := ""
	if exists {
		escalated = name
	}
	if c.evaluator.MayVerb(ctx, w.user, w.cluster, namespace, "escalate", resource, escalated) {
		return nil
	}
	if err := c.evaluator.MayGrant(ctx, w.user, w.cluster, namespace, rules); err != nil {
		return refusal(resource, name, err)
	}
	return nil
}

func (c checks) roleBinding(ctx context.Context, obj, _ runtime.Object) error {
	binding, ok := obj.(*rbacv1.RoleBinding)
	if !ok {
		return unexpected(obj)
	}
	namespace := binding.Namespace
	if namespace == "" {
		namespace = genericapirequest.NamespaceValue(ctx)
	}
	return c.ref(ctx, namespace, "rolebindings", binding.Name, binding.RoleRef)
}

func (c checks) clusterRoleBinding(ctx context.Context, obj, _ runtime.Object) error {
	binding, ok := obj.(*rbacv1.ClusterRoleBinding)
	if !ok {
		return unexpected(obj)
	}
	if err := c.ref(ctx, "", "clusterrolebindings", binding.Name, binding.RoleRef); err != nil {
		return err
	}
	w, err := writerFrom(ctx)
	if err != nil {
		return err
	}
	return c.inherit(ctx, w, "clusterrolebindings", binding)
}

// inherit returns an error if obj counts in the workspaces below, unless the user may use the verb inherit on it. It is asked about every write of
// such an object, because any of them can change who has rights below, or which.
func (c checks) inherit(ctx context.Context, w writer, resource string, obj client.Object) error {
	if !inheritance.Gives(obj) {
		return nil
	}
	allowed, err := c.evaluator.MayInherit(ctx, w.user, w.cluster, rbacv1.GroupName, resource, obj.GetName())
	switch {
	case allowed:
		return nil
	case err != nil:
		klog.FromContext(ctx).Error(err, "Policy could not be read to see who may write what is inherited", "cluster", w.cluster, "resource", resource)
		return refusal(resource, obj.GetName(), policy.ErrUnread)
	}
	return refusal(resource, obj.GetName(), fmt.Errorf("with the annotation %s it counts in all workspaces below, which takes the verb %q on %s: user %q does not have it",
		inheritance.AnnotationKey, inheritance.Verb, resource, w.user.GetName()))
}

// ref returns an error unless the user has the permissions of the role, or may bind it.
func (c checks) ref(ctx context.Context, namespace, resource, name string, ref rbacv1.RoleRef) error {
	w, err := writerFrom(ctx)
	if err != nil {
		return err
	}
	var roles schema.GroupResource
	switch ref.Kind {
	case "Role":
		roles = rbacv1.Resource("roles")
	case "ClusterRole":
		roles = rbacv1.Resource("clusterroles")
	default:
		return nil // Validation refuses it.
	}
	if c.evaluator.MayVerb(ctx, w.user, w.cluster, namespace, "bind", roles.Resource, ref.Name) {
		return nil
	}
	rules, found, err := c.evaluator.RoleRules(ctx, w.cluster, namespace, ref)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read to see what a binding grants", "cluster", w.cluster)
		return refusal(resource, name, policy.ErrUnread)
	}
	if !found {
		return apierrors.NewNotFound(roles, ref.Name)
	}
	if err := c.evaluator.MayGrant(ctx, w.user, w.cluster, namespace, rules); err != nil {
		return refusal(resource, name, err)
	}
	return nil
}

// refusal is the API status for an error of policy.Evaluator.MayGrant.
func refusal(resource, name string, err error) error {
	if errors.Is(err, policy.ErrUnread) {
		return apierrors.NewServiceUnavailable(err.Error())
	}
	return apierrors.NewForbidden(rbacv1.Resource(resource), name, err)
}

func unexpected(obj runtime.Object) error {
	return apierrors.NewInternalError(fmt.Errorf("unexpected type %T", obj))
}
