package workspaceclaim

import (
	"context"
	"fmt"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// places returns the clusters of the parent and of each type of class; empty for one that does not exist.
func (p *plugin) places(ctx context.Context, class *annexv1alpha1.WorkspaceClass) ([]logicalcluster.Name, error) {
	paths := []string{class.Spec.Parent}
	for _, ref := range class.Spec.Types {
		paths = append(paths, ref.Path)
	}
	found := make([]logicalcluster.Name, len(paths))
	for i, path := range paths {
		if path == "" {
			continue // validation refuses it
		}
		var err error
		if found[i], err = p.resolve(ctx, path); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// accepted returns the clusters that a class was accepted for, as in its annotation.
func accepted(places []logicalcluster.Name) string {
	names := make([]string, len(places))
	for i, place := range places {
		names[i] = place.String()
	}
	return strings.Join(names, ",")
}

// unchanged reports whether an update changes nothing for which its author needs permission.
func unchanged(class, old *annexv1alpha1.WorkspaceClass) bool {
	return old != nil && apiequality.Semantic.DeepEqual(old.Spec, class.Spec)
}

// admitClass records the clusters that the class is accepted for. Any change of the spec accepts it anew.
func (p *plugin) admitClass(ctx context.Context, a admission.Attributes, class *annexv1alpha1.WorkspaceClass) error {
	old, _ := a.GetOldObject().(*annexv1alpha1.WorkspaceClass)
	if unchanged(class, old) {
		class.Annotations = set(class.Annotations, annexv1alpha1.ClassClustersAnnotationKey, old.Annotations[annexv1alpha1.ClassClustersAnnotationKey])
		return nil
	}
	places, err := p.places(ctx, class)
	if err != nil {
		return err
	}
	class.Annotations = set(class.Annotations, annexv1alpha1.ClassClustersAnnotationKey, accepted(places))
	return nil
}

// validateClass requires of the author the permissions that the class gives away, in the clusters that admitClass has recorded.
func (p *plugin) validateClass(ctx context.Context, a admission.Attributes, class *annexv1alpha1.WorkspaceClass) error {
	old, _ := a.GetOldObject().(*annexv1alpha1.WorkspaceClass)
	if unchanged(class, old) {
		return nil
	}
	from, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	places, err := p.places(ctx, class)
	if err != nil {
		return err
	}
	if class.Annotations[annexv1alpha1.ClassClustersAnnotationKey] != accepted(places) {
		return admission.NewForbidden(a, fmt.Errorf("a path of the class leads to another workspace than a moment ago, try again"))
	}
	if err := p.need(ctx, a, from, places[0], "create", "workspaces", "", "to create workspaces in "+class.Spec.Parent); err != nil {
		return err
	}
	for i, ref := range class.Spec.Types {
		what := fmt.Sprintf("to use workspace type %s:%s", ref.Path, ref.Name)
		if err := p.need(ctx, a, from, places[i+1], "use", "workspacetypes", string(ref.Name), what); err != nil {
			return err
		}
	}
	return nil
}

// need returns a Forbidden error unless the user of a may use verb on the resource in the cluster at. An empty at, for a cluster that does not
// exist, gives the same error. what describes the permission in the error.
func (p *plugin) need(ctx context.Context, a admission.Attributes, from, at logicalcluster.Name, verb, resource, name, what string) error {
	allowed := false
	if !at.Empty() {
		var err error
		if allowed, err = request.Allowed(ctx, p.Authorizer, a, from, at, verb, tenancyv1alpha1.SchemeGroupVersion.WithResource(resource), name); err != nil {
			return apistatus.Internal(err)
		}
	}
	if !allowed {
		return admission.NewForbidden(a, fmt.Errorf("unable to write WorkspaceClass: no permission %s", what))
	}
	return nil
}
