package quickstart

import (
	"context"
	_ "embed"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// The API of the scenario, and an object of it.
var (
	//go:embed manifests/schema.yaml
	schemaManifest []byte
	//go:embed manifests/export.yaml
	exportManifest []byte
	//go:embed manifests/sample.yaml
	sampleManifest []byte
)

// exportName is the name of the APIExport, and of the APIBinding.
const exportName = "cowboys"

var cowboys = schema.GroupVersionResource{Group: "quickstart.example.com", Version: "v1", Resource: "cowboys"}

// Provider builds a provider with an API, and a consumer who has bound it. It returns the consumer.
func (b *Builder) Provider(ctx context.Context, samples bool) (logicalcluster.Path, error) {
	org, err := b.workspace(ctx, b.Parent, b.name("org"), "organization")
	if err != nil {
		return "", err
	}
	provider, err := b.workspace(ctx, org, b.name("provider"), "")
	if err != nil {
		return "", err
	}
	b.Say("Workspace %q is the provider.", provider)
	for _, object := range []struct {
		resource schema.GroupVersionResource
		manifest []byte
	}{
		{apisv1alpha1.SchemeGroupVersion.WithResource("apiresourceschemas"), schemaManifest},
		{apisv1alpha2.SchemeGroupVersion.WithResource("apiexports"), exportManifest},
	} {
		if err := b.create(ctx, provider, object.resource, object.manifest); err != nil {
			return "", err
		}
	}
	b.Say("It offers the resource %s by the APIExport %q.", cowboys.GroupResource(), exportName)
	consumer, err := b.workspace(ctx, org, b.name("consumer"), "")
	if err != nil {
		return "", err
	}
	if err := b.bind(ctx, consumer, provider); err != nil {
		return "", err
	}
	b.Say("Workspace %q is a consumer, and has bound it.", consumer)
	if samples {
		if err := b.create(ctx, consumer, cowboys, sampleManifest); err != nil {
			return "", err
		}
		b.Say("A Cowboy is in its namespace default.")
	}
	return consumer, nil
}

// create creates an object, unless it is there. A resource that was just bound may take a moment.
func (b *Builder) create(ctx context.Context, path logicalcluster.Path, resource schema.GroupVersionResource, manifest []byte) error {
	client, err := dynamic.NewForConfig(b.At(path))
	if err != nil {
		return fmt.Errorf("using the kubeconfig: %w", err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(manifest, &object.Object); err != nil {
		return fmt.Errorf("reading a manifest: %w", err)
	}
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		_, err := client.Resource(resource).Namespace(object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{})
		switch {
		case apierrors.IsAlreadyExists(err):
			return true, nil
		case apierrors.IsNotFound(err):
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("creating %s %q in %q: %w", object.GetKind(), object.GetName(), path, err)
	}
	return nil
}

// bind binds the API in a workspace, and waits until it is bound.
func (b *Builder) bind(ctx context.Context, consumer, provider logicalcluster.Path) error {
	clients, err := versioned.NewForConfig(b.At(consumer))
	if err != nil {
		return fmt.Errorf("using the kubeconfig: %w", err)
	}
	bindings := clients.ApisV1alpha2().APIBindings()
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: exportName}}
	binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: provider.String(), Name: exportName}
	if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("binding APIExport %q in %q: %w", exportName, consumer, err)
	}
	b.Doing("The APIExport is being bound in %q", consumer)
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		latest, err := bindings.Get(ctx, exportName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return latest.Status.Phase == apisv1alpha2.APIBindingPhaseBound, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the APIExport is bound in %q: %w", consumer, err)
	}
	return nil
}
