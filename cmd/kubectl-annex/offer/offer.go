package offer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/clientset/versioned"
	"github.com/annex-dev/annex/schemas/crd"
)

var definitions = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// Workspace is where a provider offers APIs.
type Workspace struct {
	objects dynamic.Interface
	exports versioned.Interface
}

// Offered is an API as others get it now.
type Offered struct {
	// Definition is what they get; nil if there is nothing yet.
	Definition *apiextensionsv1.CustomResourceDefinition
	// By says what offers it, such as `APIExport "widgets"`. Empty if nothing does.
	By string
	// Export is the name of the APIExport that offers it, and Cluster the logical cluster in which that is. Both are empty if none does.
	Export  string
	Cluster logicalcluster.Name
}

// New returns the workspace that config leads to.
func New(config *rest.Config) (*Workspace, error) {
	w := &Workspace{}
	var err error
	if w.objects, err = dynamic.NewForConfig(config); err == nil {
		w.exports, err = versioned.NewForConfig(config)
	}
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return w, nil
}

// Read reads a CustomResourceDefinition. The error is NotFound if there is none.
func Read(ctx context.Context, objects dynamic.Interface, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	object, err := objects.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
		return nil, fmt.Errorf("decoding CustomResourceDefinition %q: %w", name, err)
	}
	return definition, nil
}

// Definition reads a CustomResourceDefinition of the workspace; nil if there is none.
func (w *Workspace) Definition(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	definition, err := Read(ctx, w.objects, name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading CustomResourceDefinition %q: %w", name, err)
	}
	return definition, nil
}

// Exported returns what an APIExport offers of an API, or the one that has it if no name is given. The error says if several have it.
func (w *Workspace) Exported(ctx context.Context, gr schema.GroupResource, export string) (Offered, error) {
	list, err := w.exports.ApisV1alpha2().APIExports().List(ctx, metav1.ListOptions{})
	if err != nil {
		return Offered{}, fmt.Errorf("listing APIExports: %w", err)
	}
	var found []string
	var (
		schemaName string
		cluster    logicalcluster.Name
	)
	for i := range list.Items {
		e := &list.Items[i]
		at := slices.IndexFunc(e.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Name == gr.Resource && r.Group == gr.Group })
		if at >= 0 && (export == "" || export == e.Name) {
			found, schemaName, cluster = append(found, e.Name), e.Spec.Resources[at].Schema, logicalcluster.From(e)
		}
	}
	switch {
	case len(found) == 0:
		return Offered{}, nil
	case len(found) > 1:
		return Offered{}, fmt.Errorf("several APIExports have %s: choose one with --export: %s", gr, strings.Join(found, ", "))
	}
	offered := Offered{By: fmt.Sprintf("APIExport %q", found[0]), Export: found[0], Cluster: cluster}
	stored, err := w.exports.ApisV1alpha1().APIResourceSchemas().Get(ctx, schemaName, metav1.GetOptions{})
	if err != nil {
		return Offered{}, fmt.Errorf("reading the schema of %s: %w", offered.By, err)
	}
	if offered.Definition, err = crd.FromSchema(stored); err != nil {
		return Offered{}, fmt.Errorf("reading the schema of %s: %w", offered.By, err)
	}
	return offered, nil
}
