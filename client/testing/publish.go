package annextest

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// publishAnnotation publishes a CustomResourceDefinition with an APIExport.
const publishAnnotation = "annex.dev/publish"

// publication is a CustomResourceDefinition that the server publishes.
type publication struct {
	definition, export, group, plural string
	exports                           versioned.Interface
	reader                            client.Reader
	// before it is applied: its generation, and the name of its schema
	generation int64
	schema     string
}

// publicationOf returns what is published by a CustomResourceDefinition, before that is applied; nil for other objects.
func (w *Workspace) publicationOf(ctx context.Context, obj *unstructured.Unstructured) (*publication, error) {
	export, published := obj.GetAnnotations()[publishAnnotation]
	if !published || !isDefinition(obj) {
		return nil, nil
	}
	p := &publication{definition: obj.GetName()}
	p.group, _, _ = unstructured.NestedString(obj.Object, "spec", "group")
	p.plural, _, _ = unstructured.NestedString(obj.Object, "spec", "names", "plural")
	if p.export = export; export == "" || export == "true" {
		p.export = p.group
	}
	var err error
	if p.exports, err = versioned.NewForConfig(w.Config()); err != nil {
		return nil, err
	}
	if p.reader, err = client.New(w.Config(), client.Options{}); err != nil {
		return nil, err
	}
	if p.generation, err = p.current(ctx); err != nil {
		return nil, err
	}
	p.schema, err = p.published(ctx)
	return p, err
}

// current returns the generation of the definition; 0 if it does not exist.
func (p *publication) current(ctx context.Context) (int64, error) {
	head := &metav1.PartialObjectMetadata{}
	head.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := p.reader.Get(ctx, client.ObjectKey{Name: p.definition}, head)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	return head.Generation, err
}

// published returns the name of the schema in the APIExport; empty if there is none.
func (p *publication) published(ctx context.Context) (string, error) {
	found, err := p.exports.ApisV1alpha2().APIExports().Get(ctx, p.export, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return "", err
	}
	for _, r := range found.Spec.Resources {
		if r.Name == p.plural && r.Group == p.group {
			return r.Schema, nil
		}
	}
	return "", nil
}

// done says what is missing until the APIExport has the schema of the definition as it was applied.
func (p *publication) done(ctx context.Context) error {
	generation, err := p.current(ctx)
	if err != nil {
		return err
	}
	schema, err := p.published(ctx)
	switch {
	case err != nil:
		return err
	case schema == "":
		return fmt.Errorf("the APIExport %s does not have %s of group %s", p.export, p.plural, p.group)
	case p.schema != "" && generation != p.generation && schema == p.schema:
		// Another schema has another name.
		return fmt.Errorf("the APIExport %s has the schema %s of before", p.export, schema)
	}
	return nil
}
