package pathannotation

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// Name is the name of the plugin.
const Name = "kcp.io/PathAnnotation"

type plugin struct {
	*admission.Handler
	tree *tree.Tree
}

var _ admission.MutationInterface = &plugin{}

// New returns the plugin.
func New(t *tree.Tree) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), tree: t}
}

// Admit implements admission.MutationInterface.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" || a.GetObject() == nil {
		return nil
	}
	obj, err := meta.Accessor(a.GetObject())
	if err != nil {
		return nil // an object without metadata has no annotations, such as a SubjectAccessReview
	}
	written, has := obj.GetAnnotations()[logicalcluster.PathAnnotationKey]
	switch a.GetResource().GroupResource() {
	case tree.LogicalClusters:
		// The creator of a cluster sets its path once.
		if a.GetOperation() == admission.Update && !request.IsMaster(a) {
			return p.keep(a, obj)
		}
		return nil
	case tree.WorkspaceTypes, tree.APIExports, apisv1alpha2.Resource("apibindings"), cachev1alpha1.Resource("clustercachedresources"):
	default:
		if !has {
			return nil
		}
	}
	if has && request.IsMaster(a) {
		return nil // the server knows the path, even of a cluster that it is creating
	}
	cluster, err := request.Cluster(ctx)
	if err != nil {
		return err
	}
	path, err := p.tree.Path(ctx, cluster)
	if err != nil {
		return fmt.Errorf("finding the path of %s: %w", cluster, err)
	}
	if written != path.String() {
		set(obj, path.String())
	}
	return nil
}

// keep restores the annotation of the stored object.
func (p *plugin) keep(a admission.Attributes, obj metav1.Object) error {
	old, err := meta.Accessor(a.GetOldObject())
	if err != nil {
		return fmt.Errorf("reading the stored object: %w", err)
	}
	if path := old.GetAnnotations()[logicalcluster.PathAnnotationKey]; path != obj.GetAnnotations()[logicalcluster.PathAnnotationKey] {
		set(obj, path)
	}
	return nil
}

func set(obj metav1.Object, path string) {
	annotations := map[string]string{}
	for k, v := range obj.GetAnnotations() {
		annotations[k] = v
	}
	annotations[logicalcluster.PathAnnotationKey] = path
	if path == "" {
		delete(annotations, logicalcluster.PathAnnotationKey)
	}
	obj.SetAnnotations(annotations)
}
