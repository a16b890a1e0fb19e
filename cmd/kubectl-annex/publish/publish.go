package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/cmd/kubectl-annex/offer"
	"github.com/annex-dev/annex/generated/clientset/versioned"
	"github.com/annex-dev/annex/schemas/publish"
)

const (
	// fieldManager owns the fields of what is applied.
	fieldManager = "kubectl-annex"
	// failed is the reason of the Event by which the server says that it cannot publish a definition.
	failed = "PublishFailed"
	// pollEvery is the pause between two looks.
	pollEvery = 250 * time.Millisecond
)

var definitions = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// Options say how to publish.
type Options struct {
	// Export is the name of the APIExport. Empty: the group of the definition.
	Export string
	// Stop takes the annotation away.
	Stop bool
}

// Publisher publishes definitions of one workspace.
type Publisher struct {
	Options
	objects dynamic.Interface
	exports versioned.Interface
	events  corev1client.EventsGetter
	began   time.Time
}

// New returns a Publisher for the workspace that config leads to.
func New(config *rest.Config, o Options) (*Publisher, error) {
	p := &Publisher{Options: o, began: time.Now()}
	var err error
	if p.objects, err = dynamic.NewForConfig(config); err == nil {
		p.exports, err = versioned.NewForConfig(config)
	}
	if err == nil {
		p.events, err = corev1client.NewForConfig(config)
	}
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return p, nil
}

// Apply applies the manifest of a definition, as it was written.
func (p *Publisher) Apply(ctx context.Context, manifest []byte) error {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(manifest); err != nil {
		return fmt.Errorf("reading a CustomResourceDefinition: %w", err)
	}
	delete(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	if _, err := p.objects.Resource(definitions).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("applying CustomResourceDefinition %q: %w", object.GetName(), err)
	}
	return nil
}

// Annotate sets the annotation of a definition, or takes it away, and returns the name of the APIExport. It does nothing if the
// definition already has it.
func (p *Publisher) Annotate(ctx context.Context, name string) (export string, err error) {
	definition, err := offer.Read(ctx, p.objects, name)
	if err != nil {
		return "", err
	}
	is, published := publish.ExportOf(definition.Annotations, definition.Spec.Group)
	want := any(p.Export)
	switch {
	case p.Stop && !published:
		return "", fmt.Errorf("CustomResourceDefinition %q is not published", name)
	case p.Stop:
		want = nil
	case published && (p.Export == "" || p.Export == is):
		return is, nil
	default:
		is, _ = publish.ExportOf(map[string]string{publish.AnnotationKey: p.Export}, definition.Spec.Group)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{publish.AnnotationKey: want}}})
	if err != nil {
		return "", err
	}
	if _, err := p.objects.Resource(definitions).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return "", fmt.Errorf("annotating CustomResourceDefinition %q: %w", name, err)
	}
	return is, nil
}

// Wait waits until the APIExport has the schema of the definition as it is now. The error has what the server says about it.
func (p *Publisher) Wait(ctx context.Context, name, export string, timeout time.Duration) error {
	refusal := ""
	err := wait.PollUntilContextTimeout(ctx, pollEvery, timeout, true, func(ctx context.Context) (bool, error) {
		definition, err := offer.Read(ctx, p.objects, name)
		if err != nil {
			return false, err
		}
		schema, err := publish.SchemaOf(definition)
		if err != nil {
			return false, err
		}
		found, err := p.exports.ApisV1alpha2().APIExports().Get(ctx, export, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		if err == nil && slices.ContainsFunc(found.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Schema == schema.Name }) {
			return true, nil
		}
		refusal = p.refusal(ctx, name)
		return refusal != "", nil
	})
	switch {
	case refusal != "":
		return fmt.Errorf("CustomResourceDefinition %q cannot be published: %s", name, refusal)
	case wait.Interrupted(err):
		return fmt.Errorf("APIExport %q does not have CustomResourceDefinition %q after %s", export, name, timeout)
	}
	return err
}

// refusal returns what the server has said since the Publisher was made about why it cannot publish a definition; empty if nothing.
func (p *Publisher) refusal(ctx context.Context, name string) string {
	list, err := p.events.Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + failed})
	if err != nil {
		return ""
	}
	for _, e := range list.Items {
		if e.Reason == failed && e.InvolvedObject.Name == name && lastSeen(&e).After(p.began.Add(-time.Second)) {
			return e.Message
		}
	}
	return ""
}

func lastSeen(e *corev1.Event) time.Time {
	if e.LastTimestamp.After(e.EventTime.Time) {
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}
